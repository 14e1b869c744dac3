"""Makes the adapters from the settings, and groups them by the ports that they implement."""

import ssl
from collections.abc import Callable, Mapping
from email.headerregistry import Address
from pathlib import Path
from typing import Final, assert_never
from urllib.parse import urlsplit

from attrs import frozen
from sqlalchemy.ext.asyncio import AsyncEngine

from application.ports.authenticators import Authenticators
from application.ports.ids import Ids
from application.ports.limiter import Limiter
from application.ports.mailer import Mailer
from config.ports import Bus, Storage
from config.refusals import CannotStart
from config.settings.groups import Settings
from config.settings.readers import BusKind
from infrastructure.memory.catalogues import MemoryCatalogues
from infrastructure.memory.limiter import MemoryLimiter
from infrastructure.memory.purging import MemoryDeletedChats
from infrastructure.memory.storage import MemoryStorage
from infrastructure.memory.updates import MemoryUpdates
from infrastructure.memory.views import MemoryChanges, MemoryOwnChanges, MemoryViews
from infrastructure.nats.credentials import Credentials, UnusableCredentials
from infrastructure.nats.updates import NatsServers, NatsUpdates
from infrastructure.oidc.providers import OidcProviders
from infrastructure.passkeys.none import NoDevices
from infrastructure.postgres.catalogues import PostgresCatalogues
from infrastructure.postgres.changes import PostgresChanges
from infrastructure.postgres.divided.changes import DividedChanges
from infrastructure.postgres.divided.marking import DividedMarkings
from infrastructure.postgres.divided.posting import DividedPostings
from infrastructure.postgres.divided.purging import DividedDeletedChats
from infrastructure.postgres.divided.reads import DividedReadPool
from infrastructure.postgres.divided.stamp import adapt
from infrastructure.postgres.divided.statements import AS_DIVIDED
from infrastructure.postgres.driver.batches import PLANS, BatchConnection
from infrastructure.postgres.driver.engine import make_engine
from infrastructure.postgres.driver.reads import ReadPool
from infrastructure.postgres.driver.trouble import WriteTrouble
from infrastructure.postgres.marking import PostgresMarkings
from infrastructure.postgres.own_changes import PostgresOwnChanges
from infrastructure.postgres.posting import PostgresPostings
from infrastructure.postgres.purging import PostgresDeletedChats
from infrastructure.postgres.remembered import Memory
from infrastructure.postgres.replica import Replica
from infrastructure.postgres.storage import PostgresStorage
from infrastructure.postgres.updates import PostgresUpdates
from infrastructure.postgres.views import PostgresViews
from infrastructure.sharing_limiter import SharingLimiter
from infrastructure.smtp.mailbox import Mailbox
from infrastructure.smtp.mailer import MailServer, Security, SmtpMailer
from infrastructure.smtp.writing import LetterWriter


def memory_storage(memory: MemoryStorage) -> Storage:
    return Storage(
        begin=memory.begin,
        begin_posting=memory.begin_posting,
        begin_patient_posting=memory.begin_patient_posting,
        begin_marking=memory.begin_marking,
        views=MemoryViews(memory),
        changes=MemoryChanges(memory),
        own_changes=MemoryOwnChanges(memory),
        catalogues=MemoryCatalogues(),
        deleted_chats=MemoryDeletedChats(memory),
    )


@frozen(eq=False, kw_only=True)
class PostgresKinds:
    """Those classes of the adapters for PostgreSQL that differ between tables on one server and tables that Citus divides."""

    postings: type[PostgresPostings]
    markings: type[PostgresMarkings]
    changes: type[PostgresChanges]
    deleted_chats: type[PostgresDeletedChats]
    read_pool: type[ReadPool]
    plans: Mapping[str, str]
    """The planner settings of the connections that store batches."""
    adapted: Callable[[AsyncEngine], AsyncEngine]
    """Prepares the engine of the units of work."""


ON_ONE_SERVER: Final = PostgresKinds(
    postings=PostgresPostings,
    markings=PostgresMarkings,
    changes=PostgresChanges,
    deleted_chats=PostgresDeletedChats,
    read_pool=ReadPool,
    plans=PLANS,
    adapted=lambda engine: engine,
)

DIVIDED: Final = PostgresKinds(
    postings=DividedPostings,
    markings=DividedMarkings,
    changes=DividedChanges,
    deleted_chats=DividedDeletedChats,
    read_pool=DividedReadPool,
    plans={**PLANS, **AS_DIVIDED},
    adapted=adapt,
)


def kinds_for(settings: Settings) -> PostgresKinds:
    return DIVIDED if settings.database.divided else ON_ONE_SERVER


def postgres_storage(
    settings: Settings,
    *,
    engine: AsyncEngine,
    read_pool: ReadPool,
    replica: Replica | None,
    posting_connection: BatchConnection,
    patient_posting_connection: BatchConnection,
    marking_connection: BatchConnection,
) -> Storage:
    deadline, trouble, kinds = settings.database.deadline, WriteTrouble(), kinds_for(settings)
    return Storage(
        begin=PostgresStorage(engine, deadline, trouble).begin,
        begin_posting=kinds.postings(posting_connection, trouble, Memory(settings.chat.remembered)).begin,
        begin_patient_posting=kinds.postings(patient_posting_connection, trouble).begin,
        begin_marking=kinds.markings(marking_connection, trouble).begin,
        views=PostgresViews(read_pool, trouble, replica),
        changes=kinds.changes(engine, deadline=deadline),
        own_changes=PostgresOwnChanges(read_pool),
        catalogues=PostgresCatalogues(engine, deadline=deadline),
        deleted_chats=kinds.deleted_chats(engine, deadline=deadline),
    )


def make_batch_connection(settings: Settings, url: str, *, patient: bool) -> BatchConnection:
    plans = kinds_for(settings).plans
    return BatchConnection(url, deadline=settings.database.deadline, patient=patient, plans=plans)


def make_read_pool(settings: Settings, url: str) -> ReadPool:
    return kinds_for(settings).read_pool(url, deadline=settings.database.deadline)


def make_unit_engine(settings: Settings, url: str) -> AsyncEngine:
    database = settings.database
    return kinds_for(settings).adapted(make_engine(url, size=database.pool_size, deadline=database.deadline))


def make_replica(settings: Settings) -> Replica | None:
    database = settings.database
    if database.replica_url is None:
        return None
    pool = ReadPool(database.replica_url, deadline=database.deadline)
    return Replica(pool, patience=database.replica_patience)


def make_bus(settings: Settings, url: str, ids: Ids) -> Bus:
    match settings.bus.kind:
        case BusKind.NONE:
            return MemoryUpdates()
        case BusKind.NOTIFY:
            return PostgresUpdates(
                url=settings.bus.database_url or url,
                publisher=ids.token_id(),
                deadline=settings.database.deadline,
            )
        case BusKind.NATS:
            bus = settings.bus
            servers = NatsServers(
                addresses=bus.nats_servers,
                user=bus.nats_user,
                password=bus.nats_password,
                token=bus.nats_token,
                credentials=_usable(bus.nats_credentials),
                tls=_tls(bus.nats_ca, bus.nats_certificate, bus.nats_key),
            )
            return NatsUpdates(servers=servers, publisher=ids.token_id(), subject=bus.nats_subject)
        case _:
            assert_never(settings.bus.kind)


def make_limiter(settings: Settings, bus: Bus, ids: Ids) -> Limiter:
    alone = MemoryLimiter()
    if settings.bus.kind is BusKind.NONE:
        return alone
    shared = SharingLimiter(alone, bus.publish, ids.token_id())
    bus.subscribe(shared.hear)
    return shared


def _usable(credentials: Path | None) -> Path | None:
    """
    Raises:
        CannotStart: They cannot be used.
    """
    try:
        if credentials is not None:
            Credentials.read(credentials)
    except (UnusableCredentials, OSError) as error:
        raise CannotStart(f"NATS_CREDENTIALS_FILE cannot be used: {error}") from error
    return credentials


def _tls(authorities: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """
    Raises:
        CannotStart: A file is not what it should be.
    """
    if authorities is None and certificate is None:
        return None
    try:
        context = ssl.create_default_context(cafile=authorities)
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise CannotStart(
            f"NATS_CA_FILE, NATS_CERT_FILE or NATS_KEY_FILE: a file cannot be used: {error}"
        ) from error
    return context


def make_mailer(
    settings: Settings, show: Callable[[str], None], kind: type[LetterWriter] = LetterWriter
) -> Mailer:
    mail, api = settings.mail, settings.api
    user, _, domain = mail.from_email.rpartition("@")
    writer = kind(
        sender=Address(mail.from_name, user, domain),
        confirm_url=f"{api.public_url}{api.prefix}{api.confirmation_path}",
        reset_url=f"{api.public_url}{api.prefix}{api.new_password_path}",
    )
    if mail.server is None:
        return Mailbox(folder=_mailbox(settings), writer=writer, show=show)
    server = MailServer(
        host=mail.server,
        port=mail.port,
        security=Security(mail.security.value),
        username=mail.username,
        password=mail.password,
        timeout=mail.timeout,
    )
    return SmtpMailer(server=server, writer=writer)


def _mailbox(settings: Settings) -> Path:
    return settings.var_dir / "mail"


def make_providers(settings: Settings) -> OidcProviders:
    api = settings.api
    return OidcProviders.of(
        settings.auth.providers,
        callback=lambda id: f"{api.public_url}{api.prefix}/accounts/sign-in/provider/callback/{id}/",
        deadline=settings.auth.provider_seconds,
    )


def make_authenticators(settings: Settings) -> Authenticators:
    if not settings.auth.passkeys:
        return NoDevices()
    from infrastructure.passkeys.authenticators import WebAuthnDevices  # noqa: PLC0415

    address = urlsplit(settings.api.public_url)
    return WebAuthnDevices(
        rp_id=address.hostname or "",
        origin=f"{address.scheme}://{address.netloc}",
        name=settings.auth.factor_issuer,
    )
