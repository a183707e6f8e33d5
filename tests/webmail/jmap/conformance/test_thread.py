"""Thread/get and /changes (RFC 8621 §3)."""

from tests.webmail.jmap.conformance.account import Account


async def thread_of(account: Account, name: str) -> str:
    return str((await account.email(name, "threadId"))["threadId"])


async def test_a_conversation_is_one_thread_oldest_first(account: Account) -> None:
    thread = await thread_of(account, "opening")
    assert {await thread_of(account, name) for name in ("answer", "third")} == {thread}
    alone = await thread_of(account, "plain")
    told = await account.jmap.call("Thread/get", {"ids": [thread, alone, "no-such-thread"]})
    assert told["notFound"] == ["no-such-thread"]
    emails = {each["id"]: account.names(each["emailIds"]) for each in told["list"]}
    assert emails == {thread: ["opening", "answer", "third"], alone: ["plain"]}


async def test_threads_come_and_go_with_their_emails(account: Account) -> None:
    jmap = account.jmap
    state = (await jmap.call("Thread/get", {"ids": []}))["state"]
    quiet = await jmap.call("Thread/changes", {"sinceState": state})
    assert (quiet["oldState"], quiet["newState"], quiet["hasMoreChanges"]) == (state, state, False)
    assert [quiet[each] for each in ("created", "updated", "destroyed")] == [[], [], []]
    email = await account.draft("inbox")
    (shown,) = (await jmap.call("Email/get", {"ids": [email], "properties": ["threadId"]}))["list"]
    came = await jmap.call("Thread/changes", {"sinceState": state})
    assert came["created"] == [shown["threadId"]]
    await account.destroy(email)
    went = await jmap.call("Thread/changes", {"sinceState": came["newState"]})
    assert went["destroyed"] == [shown["threadId"]]
