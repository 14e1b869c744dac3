"""Accounts, their sessions and profiles: the use cases, and the rules that the settings give them."""

from collections.abc import Callable
from datetime import timedelta

from attrs import frozen

from application.accounts.access_tokens import (
    EndAccessTokenHandler,
    ListAccessTokensHandler,
    MakeAccessTokenHandler,
    NoteUse,
)
from application.accounts.activate import ActivateHandler
from application.accounts.admit import Admit
from application.accounts.assign_password import AssignPasswordHandler
from application.accounts.authenticate import AuthenticateHandler, RecogniseHandler
from application.accounts.authenticate_for_page import AuthenticateForPageHandler, Readers
from application.accounts.begun import BegunLimit
from application.accounts.choose_password import ChoosePasswordHandler
from application.accounts.clear_closed import ClearClosedAccountsHandler
from application.accounts.close import CloseAccountHandler
from application.accounts.codes import CodeCheck
from application.accounts.confirm_email import ConfirmEmailHandler
from application.accounts.create_account import CreateAccountHandler
from application.accounts.delete_account import DeleteAccountHandler
from application.accounts.disable_account import DisableAccountHandler, EnableAccountHandler
from application.accounts.email_status import EmailStatusHandler
from application.accounts.factors import (
    ConfirmFactorHandler,
    ReadFactorHandler,
    RenewRecoveryCodesHandler,
    SetUpFactorHandler,
    TurnOffFactorHandler,
)
from application.accounts.failures import FailureLimits
from application.accounts.finish_sign_in import FinishSignInHandler
from application.accounts.forget_factor import ForgetFactorHandler
from application.accounts.identities import (
    BeginLinkHandler,
    FinishLinkHandler,
    ListIdentitiesHandler,
    UnlinkHandler,
)
from application.accounts.mailed import LetterLimits
from application.accounts.other_ways import ReadOwnWaysHandler, RemoveOtherWays, TellOfPassword
from application.accounts.oversee import ListAccountsHandler, ListSessionsOfHandler
from application.accounts.passkey_sign_in import BeginPasskeySignInHandler, PasskeySignInHandler
from application.accounts.passkeys import (
    AddPasskeyHandler,
    AskDevice,
    BeginPasskeyHandler,
    BeginProofHandler,
    ListPasskeysHandler,
    ProveHandler,
    RemovePasskeyHandler,
    RenamePasskeyHandler,
    UsePasskey,
)
from application.accounts.provider_sign_in import (
    BeginProviderSignInHandler,
    FinishProviderSignInHandler,
)
from application.accounts.read_link import ReadLinkHandler
from application.accounts.recent_sessions import RecentSessions
from application.accounts.redeem import RedeemTokenHandler
from application.accounts.refresh import RefreshHandler
from application.accounts.reset_password import ResetPasswordHandler
from application.accounts.sessions import (
    ListAccountEventsHandler,
    ListSessionsHandler,
    RevokeOthersHandler,
    RevokeSessionHandler,
)
from application.accounts.set_password import SetPasswordHandler
from application.accounts.sign_in import SignInHandler
from application.accounts.sign_out import SignOutHandler
from application.accounts.sign_up import SignUpHandler
from application.accounts.signed_in import OpenSession
from application.accounts.step_up import StepUp
from application.accounts.telling import TellOwner
from application.accounts.visits import ComeBackHandler, Depart, EndVisit
from application.accounts.ways import Ways
from application.catalogues.fill import FillCataloguesHandler
from application.examples.fill import FillExamplesHandler
from application.examples.published import FindOpenExamplesHandler
from application.limits import ActionLimits
from application.messenger import (
    AccessTokenUseCases,
    AccountUseCases,
    Administration,
    FactorUseCases,
    PasskeyUseCases,
    ProfileUseCases,
    ProviderUseCases,
    SessionUseCases,
)
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.limiter import Allowance
from application.ports.passwords import Passwords
from application.profiles.edit import EditProfileHandler
from application.profiles.find import FindProfilesHandler
from application.profiles.read import ReadOwnProfileHandler, ReadProfileHandler
from application.recording import RecordEvent
from config.data.catalogues import CATALOGUES
from config.data.conversations import EXAMPLES
from config.features.watching import watching
from config.ports import Ports, Storage
from config.settings.groups import Settings
from domain.account import PasswordRule
from domain.security import SecurityAct
from domain.session import Lifetimes, Origin
from infrastructure.crypto.common_passwords import common_passwords

HOUR = timedelta(hours=1)


@frozen(kw_only=True)
class AccountRules:
    """The rules for accounts that an installation can set."""

    password: PasswordRule
    sessions: Lifetimes
    most_sessions: int
    """Sessions of one account; zero means no limit."""
    confirmation_lifetime: timedelta
    """How long the link of a confirmation letter works."""
    reset_lifetime: timedelta
    """How long the link of a letter for a forgotten password works."""
    letters_per_recipient: Allowance
    letters_per_address: Allowance
    """Per network address that asks for letters."""
    notices: Allowance
    """Letters of one kind that report something, per recipient."""
    failures: Allowance
    """Wrong passwords for one account from one network, or from one device that the account knows."""
    failures_per_network: Allowance
    failures_per_account: Allowance
    old_password_needed: bool
    """True if a request that changes the password must contain the old one, or a proof by a passkey."""
    proof_to_end_sessions: bool
    """True if ending other sessions of one's own takes the password or a passkey."""
    begun_sign_ins: Allowance
    """Sign-ins without a password that one network begins."""
    passkeys: int
    """An account may have this many passkeys. With 0 this messenger has none."""
    access_tokens: int
    """An account may have this many access tokens for programs at once. With 0 nobody can make one."""
    access_token_lifetime: timedelta
    """For how long an access token for a program is good at most."""
    wrong_codes: Allowance
    """Wrong codes of a second factor for one account from one network, or from one device that the account knows."""
    wrong_codes_of_strangers: Allowance
    """Wrong codes for one account, from all devices together that it does not know."""
    events_kept: int
    """The newest events of an account are kept for its owner, up to this number."""
    status_requests: Allowance
    """Requests whether an e-mail address has an account, per network."""


def make_account_rules(settings: Settings) -> AccountRules:
    auth, jwt = settings.auth, settings.jwt
    common = common_passwords() if auth.refuse_common_passwords else frozenset[str]()
    return AccountRules(
        password=PasswordRule(pattern=auth.password_pattern, common=common),
        sessions=Lifetimes(
            access=jwt.access_lifetime,
            refresh=jwt.refresh_lifetime,
            grace=auth.refresh_grace,
            longest=timedelta(days=auth.session_days) if auth.session_days else None,
            one_access_token=auth.one_access_token,
        ),
        most_sessions=auth.most_sessions,
        confirmation_lifetime=jwt.confirmation_lifetime,
        reset_lifetime=auth.reset_lifetime,
        letters_per_recipient=Allowance("letters to", auth.letters_per_recipient, HOUR, is_shared=True),
        letters_per_address=Allowance("letters from", auth.letters_per_address, HOUR),
        notices=Allowance("notices to", auth.notices_per_recipient, HOUR, is_shared=True),
        failures=Allowance("wrong passwords", auth.failures, HOUR),
        failures_per_network=Allowance(
            "wrong passwords from", auth.failures_per_network, HOUR, is_shared=True
        ),
        failures_per_account=Allowance(
            "wrong passwords for", auth.failures_per_account, HOUR, is_shared=True
        ),
        old_password_needed=auth.old_password_needed,
        proof_to_end_sessions=auth.proof_to_end_sessions,
        begun_sign_ins=Allowance("sign-ins begun", auth.begun_sign_ins, HOUR),
        passkeys=auth.passkeys,
        access_tokens=auth.access_tokens,
        access_token_lifetime=auth.access_token_lifetime,
        wrong_codes=Allowance("wrong codes", auth.wrong_codes, HOUR),
        wrong_codes_of_strangers=Allowance("wrong codes for", auth.wrong_codes, HOUR, is_shared=True),
        events_kept=auth.events_kept,
        status_requests=Allowance("email status", auth.status_per_address, timedelta(minutes=1)),
    )


def recording(ports: Ports, rules: AccountRules) -> RecordEvent:
    return RecordEvent(ids=ports.ids, where=ports.where, keep=rules.events_kept)


def telling(ports: Ports, rules: AccountRules) -> TellOwner:
    return TellOwner(record=recording(ports, rules), ids=ports.ids, limits=letters(ports, rules))


def failure_limits(ports: Ports, rules: AccountRules) -> FailureLimits:
    return FailureLimits(
        limiter=ports.limiter,
        per_pair=rules.failures,
        per_network=rules.failures_per_network,
        per_account=rules.failures_per_account,
    )


def code_check(ports: Ports, rules: AccountRules) -> CodeCheck:
    return CodeCheck(
        codes=ports.codes,
        limiter=ports.limiter,
        wrong=rules.wrong_codes,
        of_strangers=rules.wrong_codes_of_strangers,
    )


def step_up(ports: Ports, rules: AccountRules) -> StepUp:
    return StepUp(
        begin=ports.storage.begin,
        clock=ports.clock,
        passwords=ports.passwords,
        failures=failure_limits(ports, rules),
        check=code_check(ports, rules),
        seals=ports.seals,
    )


def session_opening(ports: Ports, rules: AccountRules) -> OpenSession:
    return OpenSession(ids=ports.ids, lifetimes=rules.sessions, codes=ports.codes, most=rules.most_sessions)


def letters(ports: Ports, rules: AccountRules) -> LetterLimits:
    return LetterLimits(
        limiter=ports.limiter,
        per_recipient=rules.letters_per_recipient,
        per_address=rules.letters_per_address,
        notices=rules.notices,
    )


def begun_limit(ports: Ports, rules: AccountRules) -> BegunLimit:
    return BegunLimit(limiter=ports.limiter, clock=ports.clock, allowance=rules.begun_sign_ins)


def admission(ports: Ports, rules: AccountRules) -> Admit:
    return Admit(
        ids=ports.ids,
        open_session=session_opening(ports, rules),
        limits=letters(ports, rules),
        record=recording(ports, rules),
    )


def account_use_cases(
    ports: Ports,
    rules: AccountRules,
    *,
    limits: ActionLimits,
    recent_sessions: RecentSessions,
    letter_is_due: Callable[[], None],
    account_is_closed: Callable[[], None],
) -> AccountUseCases:
    """Builds the use cases. Each callback wakes a worker, which would otherwise notice the work in its next round."""
    begin, clock, ids, tokens = ports.storage.begin, ports.clock, ports.ids, ports.tokens
    open_session, letter_limits = session_opening(ports, rules), letters(ports, rules)
    failures = failure_limits(ports, rules)
    check = code_check(ports, rules)
    record, watch = recording(ports, rules), watching(ports)
    tell_of_password = TellOfPassword(record=record, ids=ids, limits=letter_limits)
    authenticate = AuthenticateHandler(
        views=ports.storage.views,
        clock=clock,
        tokens=tokens,
        access_tokens=ports.access_tokens,
        note_use=NoteUse(begin=begin),
        lifetimes=rules.sessions,
    )
    return AccountUseCases(
        sign_up=watch(
            SignUpHandler(
                begin=begin,
                clock=clock,
                ids=ids,
                passwords=ports.passwords,
                rule=rules.password,
                limits=letter_limits,
                confirmation_lifetime=rules.confirmation_lifetime,
                rates=limits,
                letter_is_due=letter_is_due,
            )
        ),
        confirm_email=watch(
            ConfirmEmailHandler(
                begin=begin, clock=clock, tokens=tokens, open_session=open_session, record=record
            )
        ),
        sign_in=watch(
            SignInHandler(
                begin=begin,
                clock=clock,
                passwords=ports.passwords,
                tokens=tokens,
                admit=admission(ports, rules),
                failures=failures,
                rates=limits,
                letter_is_due=letter_is_due,
                record=record,
            ),
            SecurityAct.SIGNED_IN,
        ),
        finish_sign_in=watch(
            FinishSignInHandler(
                begin=begin,
                clock=clock,
                tokens=tokens,
                admit=admission(ports, rules),
                check=check,
                letter_is_due=letter_is_due,
                record=record,
            ),
            SecurityAct.SIGNED_IN,
        ),
        refresh=watch(
            RefreshHandler(
                begin=begin,
                clock=clock,
                ids=ids,
                tokens=tokens,
                lifetimes=rules.sessions,
                rates=limits,
                tell=telling(ports, rules),
            )
        ),
        sign_out=SignOutHandler(
            begin=begin,
            clock=clock,
            tokens=tokens,
            access_tokens=ports.access_tokens,
            lifetimes=rules.sessions,
            record=record,
        ),
        authenticate=watch(authenticate),
        authenticate_for_page=watch(
            AuthenticateForPageHandler(
                authenticate=authenticate, views=ports.storage.views, readers=Readers()
            )
        ),
        recognise=watch(RecogniseHandler(authenticate=authenticate, recent=recent_sessions)),
        email_status=watch(
            EmailStatusHandler(
                begin=begin, clock=clock, limiter=ports.limiter, allowance=rules.status_requests
            )
        ),
        reset_password=watch(
            ResetPasswordHandler(
                begin=begin,
                clock=clock,
                ids=ids,
                limits=letter_limits,
                lifetime=rules.reset_lifetime,
                rates=limits,
                letter_is_due=letter_is_due,
                record=record,
            )
        ),
        redeem_token=watch(
            RedeemTokenHandler(
                begin=begin, clock=clock, tokens=tokens, open_session=open_session, record=record
            )
        ),
        set_password=watch(
            SetPasswordHandler(
                clock=clock,
                step_up=step_up(ports, rules),
                old_password_needed=rules.old_password_needed,
                passwords=ports.passwords,
                rule=rules.password,
                remove_other_ways=RemoveOtherWays(tell=telling(ports, rules)),
                tell=tell_of_password,
                letter_is_due=letter_is_due,
            )
        ),
        read_link=ReadLinkHandler(begin=begin, clock=clock, tokens=tokens),
        activate=watch(ActivateHandler(begin=begin, clock=clock, tokens=tokens, record=record)),
        choose_password=watch(
            ChoosePasswordHandler(
                begin=begin,
                clock=clock,
                tokens=tokens,
                passwords=ports.passwords,
                rule=rules.password,
                tell=tell_of_password,
                letter_is_due=letter_is_due,
            )
        ),
        read_ways=watch(ReadOwnWaysHandler(begin=begin)),
        close=watch(
            CloseAccountHandler(
                clock=clock,
                account_is_closed=account_is_closed,
                step_up=step_up(ports, rules),
                record=record,
            )
        ),
    )


def factor_use_cases(ports: Ports, rules: AccountRules) -> FactorUseCases:
    begin, clock, codes = ports.storage.begin, ports.clock, ports.codes
    proof, tell, watch = step_up(ports, rules), telling(ports, rules), watching(ports)
    return FactorUseCases(
        read=watch(ReadFactorHandler(begin=begin, codes=codes)),
        set_up=watch(SetUpFactorHandler(clock=clock, codes=codes, step_up=proof)),
        confirm=watch(
            ConfirmFactorHandler(
                begin=begin, clock=clock, codes=codes, check=code_check(ports, rules), tell=tell
            )
        ),
        renew_recovery_codes=watch(
            RenewRecoveryCodesHandler(clock=clock, codes=codes, step_up=proof, tell=tell)
        ),
        turn_off=watch(TurnOffFactorHandler(clock=clock, step_up=proof, tell=tell)),
    )


def provider_use_cases(
    ports: Ports, rules: AccountRules, *, limits: ActionLimits, letter_is_due: Callable[[], None]
) -> ProviderUseCases:
    begin, clock, ids, providers, seals = (
        ports.storage.begin,
        ports.clock,
        ports.ids,
        ports.providers,
        ports.seals,
    )
    proof, tell, watch = step_up(ports, rules), telling(ports, rules), watching(ports)
    depart = Depart(clock=clock, ids=ids, providers=providers, seals=seals)
    end_visit = EndVisit(begin=begin, clock=clock, providers=providers, seals=seals)
    ways = Ways(providers=providers, passkeys=bool(rules.passkeys))
    return ProviderUseCases(
        ways=ways,
        begin=watch(BeginProviderSignInHandler(depart=depart, begun=begun_limit(ports, rules))),
        come_back=watch(ComeBackHandler(clock=clock, seals=seals), SecurityAct.SIGNED_IN),
        finish=watch(
            FinishProviderSignInHandler(
                begin=begin,
                clock=clock,
                ids=ids,
                tokens=ports.tokens,
                providers=providers,
                end_visit=end_visit,
                admit=admission(ports, rules),
                begun=begun_limit(ports, rules),
                rates=limits,
                record=recording(ports, rules),
                tell=tell,
                letter_is_due=letter_is_due,
            ),
            SecurityAct.SIGNED_IN,
        ),
        list=watch(ListIdentitiesHandler(begin=begin)),
        begin_link=watch(BeginLinkHandler(depart=depart, step_up=proof)),
        finish_link=watch(
            FinishLinkHandler(begin=begin, clock=clock, ids=ids, end_visit=end_visit, tell=tell)
        ),
        unlink=watch(UnlinkHandler(clock=clock, step_up=proof, ways=ways, tell=tell)),
    )


def passkey_use_cases(
    ports: Ports, rules: AccountRules, *, limits: ActionLimits, letter_is_due: Callable[[], None]
) -> PasskeyUseCases:
    begin, clock, ids, authenticators = ports.storage.begin, ports.clock, ports.ids, ports.authenticators
    proof, tell, watch = step_up(ports, rules), telling(ports, rules), watching(ports)
    ask = AskDevice(clock=clock, ids=ids, seals=ports.seals, most=rules.passkeys)
    use = UsePasskey(begin=begin, clock=clock, authenticators=authenticators, tell=tell)
    ways = Ways(providers=ports.providers, passkeys=bool(rules.passkeys))
    return PasskeyUseCases(
        begin_sign_in=watch(
            BeginPasskeySignInHandler(ask=ask, authenticators=authenticators, begun=begun_limit(ports, rules))
        ),
        sign_in=watch(
            PasskeySignInHandler(
                begin=begin,
                clock=clock,
                tokens=ports.tokens,
                authenticators=authenticators,
                ask=ask,
                use=use,
                admit=admission(ports, rules),
                begun=begun_limit(ports, rules),
                rates=limits,
                letter_is_due=letter_is_due,
            ),
            SecurityAct.SIGNED_IN,
        ),
        list=watch(ListPasskeysHandler(begin=begin)),
        begin=watch(BeginPasskeyHandler(ask=ask, authenticators=authenticators, step_up=proof)),
        add=watch(
            AddPasskeyHandler(
                begin=begin, clock=clock, ids=ids, ask=ask, authenticators=authenticators, tell=tell
            )
        ),
        rename=watch(RenamePasskeyHandler(begin=begin)),
        remove=watch(RemovePasskeyHandler(clock=clock, step_up=proof, ways=ways, tell=tell)),
        begin_proof=watch(BeginProofHandler(begin=begin, ask=ask, authenticators=authenticators)),
        prove=watch(ProveHandler(begin=begin, clock=clock, ids=ids, seals=ports.seals, ask=ask, use=use)),
    )


def access_token_use_cases(ports: Ports, rules: AccountRules) -> AccessTokenUseCases:
    begin, clock = ports.storage.begin, ports.clock
    record, watch = recording(ports, rules), watching(ports)
    return AccessTokenUseCases(
        list=watch(ListAccessTokensHandler(begin=begin, clock=clock)),
        make=watch(
            MakeAccessTokenHandler(
                clock=clock,
                ids=ports.ids,
                access_tokens=ports.access_tokens,
                step_up=step_up(ports, rules),
                most=rules.access_tokens,
                longest=rules.access_token_lifetime,
                tell=telling(ports, rules),
            ),
            SecurityAct.ACCESS_TOKEN_MADE,
        ),
        end=watch(
            EndAccessTokenHandler(begin=begin, clock=clock, record=record), SecurityAct.ACCESS_TOKEN_ENDED
        ),
    )


def session_use_cases(ports: Ports, rules: AccountRules) -> SessionUseCases:
    begin, clock = ports.storage.begin, ports.clock
    record, watch = recording(ports, rules), watching(ports)
    proof, proof_needed = step_up(ports, rules), rules.proof_to_end_sessions
    return SessionUseCases(
        list=watch(ListSessionsHandler(begin=begin, clock=clock)),
        events=watch(ListAccountEventsHandler(begin=begin)),
        revoke=watch(
            RevokeSessionHandler(clock=clock, step_up=proof, proof_needed=proof_needed, record=record)
        ),
        revoke_others=watch(
            RevokeOthersHandler(clock=clock, step_up=proof, proof_needed=proof_needed, record=record)
        ),
    )


def profile_use_cases(ports: Ports, limits: ActionLimits) -> ProfileUseCases:
    begin, watch = ports.storage.begin, watching(ports)
    return ProfileUseCases(
        read_own=watch(ReadOwnProfileHandler(begin=begin)),
        read=watch(ReadProfileHandler(begin=begin)),
        edit=watch(EditProfileHandler(begin=begin)),
        find=watch(FindProfilesHandler(begin=begin, limits=limits)),
    )


def make_administration(
    rules: AccountRules,
    *,
    storage: Storage,
    clock: Clock,
    ids: Ids,
    passwords: Passwords,
) -> Administration:
    """Takes only some of the ports, so that commands work without the settings that the others need."""
    # A command comes from no device and no address.
    record = RecordEvent(ids=ids, where=Origin, keep=rules.events_kept)
    return Administration(
        create_account=CreateAccountHandler(
            begin=storage.begin, clock=clock, ids=ids, passwords=passwords, rule=rules.password
        ),
        disable_account=DisableAccountHandler(begin=storage.begin, clock=clock),
        enable_account=EnableAccountHandler(begin=storage.begin),
        forget_factor=ForgetFactorHandler(
            begin=storage.begin, clock=clock, tell=TellOwner(record=record, ids=ids, limits=None)
        ),
        assign_password=AssignPasswordHandler(
            begin=storage.begin,
            clock=clock,
            passwords=passwords,
            rule=rules.password,
            tell=TellOfPassword(record=record, ids=ids, limits=None),
        ),
        delete_account=DeleteAccountHandler(begin=storage.begin, clock=clock),
        clear_closed_accounts=ClearClosedAccountsHandler(begin=storage.begin, clock=clock),
        list_accounts=ListAccountsHandler(begin=storage.begin),
        list_sessions=ListSessionsOfHandler(begin=storage.begin),
        fill_catalogues=FillCataloguesHandler(catalogues=storage.catalogues, shipped=CATALOGUES),
        fill_examples=FillExamplesHandler(
            script=EXAMPLES,
            begin=storage.begin,
            begin_posting=storage.begin_patient_posting,
            begin_marking=storage.begin_marking,
            passwords=passwords,
        ),
        find_open_examples=FindOpenExamplesHandler(script=EXAMPLES, begin=storage.begin, passwords=passwords),
    )
