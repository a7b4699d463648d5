"""The pages, in a real Chromium: they are live, work by keyboard, and fit narrow and wide."""

from __future__ import annotations

import signal
import subprocess

import pytest
from playwright.sync_api import Route, expect

from ...engine.conftest import SLOWNESS
from ..conftest import RunningAgent, eventually, start_agent
from .conftest import Looking

PAGES = ("#/picture", "#/items", "#/timeline", "#/item/interface%2Fbr0")


def ip(*command: str) -> None:
    subprocess.run(["ip", *command], check=True)


def lab(agent: RunningAgent) -> list[dict[str, object]]:
    """A bridge that is there, and a cable to what does not run yet."""
    web = {"type": "microservice", "microservice": "web"}
    return [
        {"kind": "bridge", "name": "br0", "namespace": agent.namespace, "mtu": 1400, "addresses": ["10.0.0.1/24"]},
        {"kind": "veth", "name": "web0-port", "namespace": agent.namespace, "peer": "web0", "master": "br0"},
        {"kind": "veth", "name": "web0", "namespace": web, "peer": "web0-port", "addresses": ["10.0.0.2/24"]},
        {"kind": "route", "interface": "web0", "dst": "10.9.0.0/16", "gateway": "10.0.0.1"},
    ]


expect.set_options(timeout=20_000 * SLOWNESS)


def test_the_picture_follows_the_kernel(looking: Looking) -> None:
    agent = looking.served.agent
    agent.client().put([*lab(agent), {"kind": "existing", "name": "eth7", "namespace": agent.namespace}])
    page = looking.open()
    expect(page.locator('[data-key="interface/br0"].configured')).to_be_visible()
    expect(page.locator('[data-key="interface/web0"].pending')).to_be_visible()
    expect(page.locator('[data-key="interface/eth7"].pending')).to_be_visible()
    ip("-n", agent.name, "link", "add", "eth7", "up", "type", "bridge")
    expect(page.locator('[data-key="interface/eth7"].configured')).to_be_visible()
    ip("-n", agent.name, "link", "del", "eth7")
    expect(page.locator('[data-key="interface/eth7"].pending')).to_be_visible()
    expect(page.locator("#agent")).to_contain_text("agent here")
    page.get_by_label("Namespace").select_option("microservice web")
    expect(page.locator('[data-key="interface/br0"]')).to_have_count(0)
    page.locator('[data-key="interface/web0"]').focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("interface/web0")


def test_what_is_put_anew_is_shown_though_its_state_is_as_it_was(looking: Looking) -> None:
    agent = looking.served.agent
    bridge = lab(agent)[0]
    agent.client().put([bridge])
    page = looking.open("#/items")
    expect(page.locator(".sizer .line .what")).to_have_text("10.0.0.1/24")
    agent.client().put([bridge | {"addresses": ["10.0.0.7/24"]}])
    expect(page.locator(".sizer .line .what")).to_have_text("10.0.0.7/24")


def test_a_route_that_is_put_anew_is_shown_after_a_while(looking: Looking) -> None:
    agent = looking.served.agent
    route = lab(agent)[3]
    agent.client().put([route])
    page = looking.open("#/items")
    what = page.locator('[data-key="route/web0/10.9.0.0/16"] .what')
    expect(what).to_have_text("via 10.0.0.1")
    agent.client().put([route | {"gateway": "10.0.0.9"}])
    expect(what).to_have_text("via 10.0.0.9")


def test_a_tab_that_nobody_looks_at_has_no_connection(looking: Looking) -> None:
    """Chromium without a window shows all of its tabs; so this one is told what a browser tells those behind others."""
    agent = looking.served.agent
    agent.client().put(lab(agent)[:1])
    page = looking.open("#/items")
    expect(page.locator(".sizer .line")).to_have_count(1)
    turn = """is => {
        Object.defineProperty(document, "hidden", { value: is, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/api/stream")):
        page.evaluate(turn, True)
    agent.client().put(lab(agent)[1:])
    with page.expect_request("**/api/stream"):
        page.evaluate(turn, False)
    expect(page.locator(".sizer .line")).to_have_count(5)
    agent.client().delete(["route/web0/10.9.0.0/16"])
    expect(page.locator(".sizer .line")).to_have_count(4)


def test_events_are_listed_once(looking: Looking) -> None:
    """Those that are heard while the events so far are loaded come with these too."""
    agent = looking.served.agent
    page = looking.page
    waits = {"kind": "route", "interface": "none", "dst": "10.77.0.0/16"}
    put: list[object] = []

    def late(route: Route) -> None:
        if not put:
            put.append(agent.client().put([waits]))
            eventually(lambda: b"10.77.0.0/16" in looking.served.ask("/api/past").read())
        route.continue_()

    page.route("**/api/past*", late)
    page.goto(looking.served.address + "#/timeline")
    happened = page.locator('.happenings [data-sort="item"]').filter(has_text="10.77.0.0/16")
    expect(happened).to_have_count(1)
    agent.client().delete(["route/none/10.77.0.0/16"])
    expect(happened.filter(has_text="removed")).to_have_count(1)
    expect(happened).to_have_count(2)


def test_a_browser_takes_no_more_items_than_it_may_have(looking: Looking) -> None:
    agent = looking.served.agent
    route = {"kind": "route", "interface": "none"}
    agent.client().put([route | {"dst": f"10.{n >> 8}.{n & 255}.0/24"} for n in range(20_000)])
    page = looking.open("#/items")
    expect(page.locator(".count")).to_have_text("20,000 items")
    expect(page.get_by_text("There are more items than a browser is given.")).to_be_hidden()
    agent.client().put([route | {"dst": f"172.16.{n}.0/24"} for n in range(10)])
    expect(page.get_by_text("There are more items than a browser is given.")).to_be_visible()
    expect(page.locator(".count")).to_have_text("20,000 items")


def test_the_page_of_a_key_that_is_too_long_says_so(looking: Looking) -> None:
    page = looking.open("#/item/interface%2F" + "x" * 4_000)
    expect(page.get_by_text("Nobody wants an item of this key.")).to_be_visible()
    page = looking.open("#/item/interface%2F" + "x" * 70_000)
    expect(page.get_by_text("No item's key is so long.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_pages_say_why_an_agent_does_not_answer(looking: Looking) -> None:
    """It is there and takes nobody in, as one that has no descriptors left."""
    agent = looking.served.agent
    page = looking.open("#/item/interface%2Fbr0")
    expect(page.locator("#why")).to_be_hidden()
    agent.process.send_signal(signal.SIGSTOP)
    try:
        expect(page.locator("#agent")).to_have_text("agent gone")
        expect(page.locator("#why")).to_contain_text(f"no answer from {agent.bus} within 5 s")
    finally:
        agent.process.send_signal(signal.SIGCONT)
    expect(page.locator("#agent")).to_contain_text("agent here")
    expect(page.locator("#why")).to_be_hidden()
    looking.complaints.clear()  # a question may have been under way


def test_the_table_is_searched_and_narrowed(looking: Looking) -> None:
    agent = looking.served.agent
    agent.client().put(lab(agent))
    page = looking.open("#/items")
    lines = page.locator(".sizer .line")
    expect(lines).to_have_count(5)  # with the microservice that is awaited
    expect(page.locator('[data-key="route/web0/10.9.0.0/16"] .where')).to_have_text("microservice:web")
    page.get_by_label("Search").fill(f"pending {agent.name}")
    expect(page.get_by_text("1 of 5")).to_be_visible()
    expect(lines.locator(".key")).to_have_text("interface/web0-port")
    page.get_by_label("Search").fill("")
    page.get_by_label("State", exact=True).select_option("configured")
    expect(lines.locator(".key")).to_have_text("interface/br0")
    page.reload()
    expect(lines.locator(".key")).to_have_text("interface/br0")
    page.get_by_label("State", exact=True).select_option("every state")
    page.get_by_label("Kind").select_option("route")
    expect(lines).to_have_count(1)


def test_an_items_page_says_why_and_what_became_of_it(looking: Looking) -> None:
    agent = looking.served.agent
    page = looking.open("#/item/interface%2Fbr0")
    expect(page.get_by_text("Nobody wants an item of this key.")).to_be_visible()
    agent.client(source="lab").put(lab(agent))
    expect(page.locator("h1 .badge")).to_have_text("configured")
    expect(page.get_by_text("Nobody else has changed it")).to_be_visible()
    ip("-n", agent.name, "link", "set", "dev", "br0", "mtu", "1300")
    expect(page.get_by_text("somebody else has changed mtu: it is put right")).to_be_visible()
    expect(page.get_by_text("Requests of source lab")).to_be_visible()
    page.goto(looking.served.address + "#/item/route%2Fweb0%2F10.9.0.0%2F16")
    chain = page.locator(".chain li")
    expect(chain.first).to_contain_text("it waits for interface/web0")
    expect(chain.last).to_contain_text("nothing runs under this label")
    page.locator(".chain a", has_text="interface/web0").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("interface/web0")


def test_the_timeline_has_events_and_requests(looking: Looking) -> None:
    agent = looking.served.agent
    page = looking.open("#/timeline")
    expect(page.locator("#agent")).to_contain_text("agent here")
    agent.client(source="of the timeline").put(lab(agent))
    happened = page.locator(".happenings li")
    expect(happened.filter(has_text="interface/br0").filter(has_text="configured").first).to_be_visible()
    expect(happened.filter(has_text="by of the timeline").filter(has_text="1 configured, 3 pending")).to_be_visible()
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    page.get_by_label("states").uncheck()
    expect(page.locator('.happenings [data-sort="item"]')).to_have_count(0)
    expect(page.locator('.happenings [data-sort="request"]').first).to_be_visible()


def test_all_of_it_works_by_keyboard(looking: Looking) -> None:
    agent = looking.served.agent
    agent.client().put(lab(agent))
    page = looking.open()
    expect(page.locator('[data-key="interface/br0"]')).to_be_visible()
    page.keyboard.press("2")
    expect(page.locator(".sizer .line")).to_have_count(5)
    page.keyboard.press("/")
    page.keyboard.type("web0")
    page.keyboard.press("ArrowDown")
    expect(page.locator('.line[aria-selected="true"]')).to_have_attribute("data-key", "interface/web0")
    page.keyboard.press("j")
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    expect(page.locator('.line[aria-selected="true"]')).to_have_attribute("data-key", "interface/web0-port")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("interface/web0-port")
    page.keyboard.press("Escape")
    expect(page.get_by_label("Search")).to_have_value("web0")
    page.keyboard.press("3")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("1")
    page.locator('[data-key="interface/br0"]').focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.key").startswith("interface/")


@pytest.mark.parametrize(
    "looking",
    [
        {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
        for width, scheme in ((400, "light"), (400, "dark"), (1600, "light"), (1600, "dark"))
    ],
    indirect=True,
    ids=("narrow", "narrow and dark", "wide", "wide and dark"),
)
def test_pages_fit_narrow_and_wide(looking: Looking) -> None:
    agent = looking.served.agent
    long = {"kind": "bridge", "name": "a-name-that-is-" + "long" * 40, "host_name": "long", "namespace": agent.namespace}
    failed = {"kind": "bridge", "name": "taken", "host_name": "br0", "namespace": agent.namespace}
    agent.client().put([*lab(agent), long, failed])
    page = looking.page
    for place in (*PAGES, "#/item/interface%2F" + str(long["name"])):
        looking.open(place)
        expect(page.locator("#agent")).to_contain_text("agent here")
        expect(page.locator(".canvas svg, .sizer .line, .happenings li, .card").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place
        assert page.evaluate("document.getElementById('view').scrollWidth <= innerWidth"), place
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    ground, *_ = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (ground < 64) == dark


def test_names_are_text_and_never_markup(looking: Looking) -> None:
    agent = looking.served.agent
    name, label = "<b>x", "<script>document.title='seen'</script>\u202egpj"
    agent.client().put(
        [
            {"kind": "bridge", "name": name, "host_name": "a<b>\"'&", "addresses": ["10.0.0.1/24"], "namespace": agent.namespace},
            {"kind": "loopback", "name": "lo-of-it", "namespace": {"type": "microservice", "microservice": label}},
        ]
    )
    page = looking.open()
    expect(page.locator(".canvas")).to_contain_text("a<b>\"'&")
    expect(page.get_by_label("Namespace")).to_contain_text("<script>")
    markup = page.locator("#view b, #view script, #view img")
    assert markup.count() == 0
    for place in ("#/items", "#/timeline", "#/item/interface%2Flo-of-it"):
        looking.open(place)
        expect(page.get_by_text("\\u{202e}gpj").first).to_be_visible()
        assert markup.count() == 0, place
    for place in ("#/items", "#/timeline", "#/item/interface%2F%3Cb%3Ex"):
        looking.open(place)
        expect(page.get_by_text("interface/<b>x").first).to_be_visible()
        assert markup.count() == 0, place


def test_the_agents_restart_is_followed(looking: Looking) -> None:
    agent = looking.served.agent
    agent.client().put(lab(agent))
    page = looking.open("#/items")
    expect(page.locator(".sizer .line")).to_have_count(5)
    assert agent.stop() == 0
    status = page.locator("#agent")
    expect(status).to_have_text("agent gone")
    agent.process = start_agent(
        agent.directory, agent.name, "--no-docker", NSPLANE_STATE_DIR=str(agent.directory / "state")
    ).process
    expect(status).to_contain_text("agent here")
    expect(page.locator(".sizer .line")).to_have_count(5)
    agent.client().delete(["route/web0/10.9.0.0/16"])
    expect(page.locator(".sizer .line")).to_have_count(4)
    looking.complaints.clear()  # a question may have been under way while there was nobody to answer


def test_ten_thousand_items_are_a_few_lines_of_the_table(looking: Looking) -> None:
    agent = looking.served.agent
    agent.client().put(lab(agent)[:1])
    route = {"kind": "route", "interface": "br0"}
    agent.client().put([route | {"dst": f"10.{n >> 8}.{n & 255}.0/24"} for n in range(256, 256 + 10_000)])
    page = looking.open("#/items")
    expect(page.get_by_text("10,001 items")).to_be_visible()
    assert page.locator(".sizer .line").count() < 60
    page.locator(".scroller").focus()
    page.keyboard.press("End")
    expect(page.locator('.line[aria-selected="true"]')).to_have_attribute("data-key", "route/br0/10.40.15.0/24")
    page.get_by_label("Search").fill("/10.7. configured")
    expect(page.get_by_text("256 of 10,001")).to_be_visible()
    agent.client().delete(["route/br0/10.7.9.0/24"])
    expect(page.get_by_text("255 of 10,000")).to_be_visible()
