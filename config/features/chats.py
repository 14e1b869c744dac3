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
from config.ports import Ports


def chat_use_cases(ports: Ports, adding: Adding) -> ChatUseCases:
    begin, views, clock, ids = ports.storage.begin, ports.storage.views, ports.clock, ports.ids
    return ChatUseCases(
        create=CreateChatHandler(begin=begin, views=views, clock=clock, ids=ids, adding=adding),
        change=ChangeChatHandler(begin=begin, views=views, clock=clock, adding=adding),
        delete=DeleteChatHandler(begin=begin, clock=clock),
        open_direct=OpenDirectHandler(begin=begin, views=views, clock=clock, ids=ids, adding=adding),
        add_members=AddMembersHandler(begin=begin, views=views, clock=clock, adding=adding),
        remove_member=RemoveMemberHandler(begin=begin, clock=clock),
        change_role=ChangeRoleHandler(begin=begin, views=views, clock=clock),
        members=views.page_of_members,
        list=views.page_of_chats,
        get=views.get_chat,
    )


def catalogue_use_cases(ports: Ports) -> CatalogueUseCases:
    catalogues = ports.storage.catalogues
    return CatalogueUseCases(list=catalogues.headings, get=catalogues.get)
