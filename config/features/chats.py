"""Chats and their members, and the reference lists."""

from application.chats.add_members import AddMembersHandler
from application.chats.change import ChangeChatHandler
from application.chats.change_role import ChangeRoleHandler
from application.chats.create import CreateChatHandler
from application.chats.delete import DeleteChatHandler
from application.chats.membership import Adding
from application.chats.open_direct import OpenDirectHandler
from application.chats.remove_member import RemoveMemberHandler
from application.messenger import CatalogueUseCases, ChatUseCases
from config.features.watching import watching
from config.ports import Ports
from domain.security import SecurityAct


def chat_use_cases(ports: Ports, adding: Adding) -> ChatUseCases:
    begin, views, clock, ids = ports.storage.begin, ports.storage.views, ports.clock, ports.ids
    watch = watching(ports)
    return ChatUseCases(
        create=watch(CreateChatHandler(begin=begin, views=views, clock=clock, ids=ids, adding=adding)),
        change=watch(ChangeChatHandler(begin=begin, views=views, clock=clock, adding=adding)),
        delete=watch(DeleteChatHandler(begin=begin, clock=clock), SecurityAct.CHAT_DELETED),
        open_direct=watch(OpenDirectHandler(begin=begin, views=views, clock=clock, ids=ids, adding=adding)),
        add_members=watch(
            AddMembersHandler(begin=begin, views=views, clock=clock, adding=adding), SecurityAct.MEMBERS_ADDED
        ),
        remove_member=watch(RemoveMemberHandler(begin=begin, clock=clock), SecurityAct.MEMBER_REMOVED),
        change_role=watch(ChangeRoleHandler(begin=begin, views=views, clock=clock), SecurityAct.ROLE_CHANGED),
        members=watch(views.page_of_members),
        list=views.page_of_chats,
        get=watch(views.get_chat),
    )


def catalogue_use_cases(ports: Ports) -> CatalogueUseCases:
    catalogues = ports.storage.catalogues
    return CatalogueUseCases(list=catalogues.headings, get=catalogues.get)
