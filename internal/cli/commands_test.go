package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenlane/internal/config"
	"greenlane/internal/logtest"
)

// TestAgentAtWork is a shift by line commands.
func TestAgentAtWork(t *testing.T) {
	g := serve(t)
	g.fails(ExitUsage, "--queue: name at least one", "agent", "sign-in", "1001")
	g.fails(ExitUsage, `"default:x" is not allowed`, "agent", "sign-in", "1001", "--queue", "default:x")
	g.fails(ExitNotFound, `"nosuch"`, "agent", "sign-in", "1001", "--queue", "nosuch")
	g.fails(ExitNotFound, "greenlane agent sign-in", "agent", "next", "1001")
	g.must("agent", "sign-in", "1001", "--queue", "default:2", "--wrap-up", "1h")
	g.fails(ExitNoOffer, "no offer came", "agent", "next", "1001", "--wait", "0s")
	g.fails(ExitRefused, "greenlane agent next 1001", "agent", "accept", "1001")
	g.must("call", "place", "c1", "--from", "13800138000")
	g.must("call", "place", "c2", "--from", "13900139000")

	next := g.object("agent", "next", "1001")
	if at(next, "offer", "call", "call_id") != "c1" || at(next, "offer", "call", "caller") != "+8613800138000" {
		t.Fatalf("the offer is %v", next)
	}
	if got := at(g.object("agent", "decline", "1001", "--reason", "no"), "state"); got != "AGENT_STATE_READY" {
		t.Errorf("after declining the agent is %v", got)
	}
	g.must("call", "abandon", "c1") // else it comes back: nobody else can serve it
	next = g.object("agent", "next", "1001")
	if at(next, "offer", "call", "call_id") != "c2" {
		t.Fatalf("after declining the offer is %v", next)
	}
	if got := at(g.object("agent", "accept", "1001", at(next, "offer", "offer_id").(string)), "call", "state"); got != "CALL_STATE_ANSWERED" {
		t.Errorf("the call is %v", got)
	}
	if out := g.must("agent", "show", "1001"); !strings.Contains(out, "talking") || !strings.Contains(out, "call c2") || !strings.Contains(out, "default:2") {
		t.Errorf("the agent is shown as\n%s", out)
	}
	g.fails(ExitRefused, "talking", "agent", "sign-out", "1001")
	g.must("agent", "not-ready", "1001", "--reason", "lunch")
	if out := g.must("agent", "show"); !strings.Contains(out, "not ready after this call") {
		t.Errorf("the agent is shown as\n%s", out)
	}
	if got := g.object("agent", "complete", "1001"); at(got, "call", "state") != "CALL_STATE_COMPLETED" || at(got, "agent", "state") != "AGENT_STATE_WRAP_UP" {
		t.Errorf("after completing: %v", got)
	}
	if got := g.object("agent", "complete", "1001", "c2"); at(got, "agent", "state") != "AGENT_STATE_WRAP_UP" {
		t.Errorf("completing an ended call ended the wrap-up: %v", got)
	}
	g.fails(ExitRefused, "greenlane agent ready 1001", "agent", "complete", "1001")
	g.must("agent", "ready", "1001")
	g.fails(ExitRefused, "talks on no call", "agent", "complete", "1001")
	g.must("agent", "sign-out", "1001")
	if out := g.must("agent", "show"); strings.Contains(out, "1001") {
		t.Errorf("who signed out is listed:\n%s", out)
	}
	if out := g.must("agent", "show", "--state", "signed-out"); !strings.Contains(out, "1001") {
		t.Errorf("who signed out is not found:\n%s", out)
	}
}

func TestCalls(t *testing.T) {
	g := serve(t)
	first := g.object("call", "place", "c1", "--from", "13800138000", "--attr", "lang=zh", "--attestation", "full", "--request-id", "r1")
	again := g.object("call", "place", "c1", "--from", "13800138000", "--attr", "lang=zh", "--attestation", "full", "--request-id", "r1")
	if at(first, "call", "sequence") != at(again, "call", "sequence") {
		t.Errorf("the same request twice: %v and %v", first, again)
	}
	g.fails(ExitRefused, "--request-id", "call", "place", "c1", "--from", "13900139000", "--request-id", "r1")
	g.fails(ExitUsage, "one of full, partial, gateway, none", "call", "place", "--attestation", "sure")
	g.fails(ExitNotFound, "", "call", "place", "c9", "--queue", "nosuch")
	g.fails(ExitRefused, "--switch", "call", "place", "c1", "--switch", "pbx")
	if id, ok := at(g.object("call", "place"), "call", "call_id").(string); !ok || id == "" {
		t.Error("a call without an id got none")
	}
	if out := g.must("call", "show", "c1"); !strings.Contains(out, "attr lang") || !strings.Contains(out, "full") {
		t.Errorf("the call is shown as\n%s", out)
	}
	if out := g.must("call", "explain", "c1", "--mask"); !strings.Contains(out, "number 1 of its queue") || !strings.Contains(out, "call-joined") ||
		!strings.Contains(out, "Asia/Shanghai (+08:00)") || !strings.Contains(out, "AT ("+time.Now().Format("-07:00")+")") {
		t.Errorf("the explanation is\n%s", out)
	}
	g.must("call", "abandon", "c1")
	if out := g.must("call", "list"); strings.Contains(out, "c1 ") {
		t.Errorf("an ended call is listed as live:\n%s", out)
	}
	for _, args := range [][]string{{"--all"}, {"--state", "abandoned"}, {"--state", "abandoned", "--caller", "138 0013 8000", "--mask"}} {
		out := g.must(append([]string{"call", "list"}, args...)...)
		if !strings.Contains(out, "c1 ") || strings.Contains(strings.Join(args, " "), "mask") == strings.Contains(out, "+86138") {
			t.Errorf("call list %v:\n%s", args, out)
		}
	}
	g.fails(ExitUsage, "--all: not allowed together", "call", "list", "--all", "--state", "waiting")
	g.fails(ExitUsage, `"asleep" is not allowed`, "call", "list", "--state", "asleep")
	g.fails(ExitNotFound, "greenlane call list --all", "call", "explain", "nosuch")
	g.fails(ExitUsage, "it is used as", "call", "end")
}

// TestListsAreReadWhole: a list is longer than a page of the API.
func TestListsAreReadWhole(t *testing.T) {
	g := serve(t)
	var b strings.Builder
	b.WriteString("call_id,caller\n")
	for i := range pageSize + 7 {
		fmt.Fprintf(&b, "c%d,1380013%04d\n", i, i)
	}
	if got := g.object("call", "place", "--many", g.file("calls.csv", b.String())); got["placed"] != float64(pageSize+7) {
		t.Fatalf("%v", got)
	}
	if got := g.object("call", "list")["calls"].([]any); len(got) != pageSize+7 {
		t.Errorf("%d calls are listed", len(got))
	}
}

func TestCallsOfAFile(t *testing.T) {
	g := serve(t)
	bad := "\ufeffcall_id,caller,queue,attestation,arrived_at,attr.Lang\r\n" +
		"c1,13800138000,,full,,zh\r\n" +
		"c2,,nosuch,,,\r\n" +
		"c3,,,sure,,\r\n" +
		"c4,,,,yesterday,\r\n" +
		"c5,\"13\r\n" +
		"c6,,\r\n" +
		"c\xff,,,,,\r\n" +
		"c1,,,,,\r\n" +
		",,,,,\r\n" +
		"c7,,,," + time.Now().UTC().Format(time.RFC3339) + ",en\r\n" +
		"c8,,,,"
	name := g.file("calls.csv", bad)
	for range 2 { // the second run places nothing twice
		out, errs, code := g.run(t.Context(), "call", "place", "--many", name, "--output", "json")
		var got placed
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		if code != ExitPartly || got.Placed != 2 || got.Bad != 9 || len(got.Lines) != 9 {
			t.Errorf("exit code %d: %s", code, out)
		}
		for _, want := range []string{
			":3:5: queue", ":4:6: attestation: \"sure\"", ":5:7: arrived_at", ":6:", ":7:5: 3 values, but the header names 6 columns",
			":8:2: the line is no UTF-8", ":9:1: call_id: \"c1\" is also on line 2", ":10:1: call_id: must be given", ":12:7: 5 values",
		} {
			if !strings.Contains(errs, want) {
				t.Errorf("%q is not said in\n%s", want, errs)
			}
		}
	}
	joined := 0
	for _, ev := range g.log() {
		if word(ev.GetType()) == "call-joined" {
			joined++
		}
	}
	if joined != 2 {
		t.Errorf("%d calls joined, want 2", joined)
	}
	if out := g.must("call", "show", "c1"); !strings.Contains(out, "attr Lang") {
		t.Errorf("the attribute is lost:\n%s", out)
	}
	for text, want := range map[string]string{
		"": "is empty", "caller\n": `column "call_id" is missing`, "call_id,boss\n": `:1:9: column "boss" is unknown`,
		"call_id,call_id\n": "there twice", "\"call_id\n": ":1:", "call_id\n" + strings.Repeat("x", maxLine+1): "longer than",
	} {
		_, errs, code := g.run(t.Context(), "call", "place", "--many", g.file("bad.csv", text))
		if code == 0 || code == ExitPartly || !strings.Contains(errs, want) {
			t.Errorf("%.20q: exit code %d, %q", text, code, errs)
		}
	}
	g.fails(ExitUsage, "no such file", "call", "place", "--many", "/nowhere/at/all")
	g.fails(ExitUsage, "--many", "call", "place", "c1", "--many", name)
}

func TestCallbacks(t *testing.T) {
	g := serve(t, func(c *config.Config) {
		c.Sites[0].Callback.WindowFrom, c.Sites[0].Callback.WindowTo = 0, config.ClockTime(24*time.Hour)
	})
	id := func(number, due string) string {
		return at(g.object("callbacks", "create", number, "--due", due, "--note", "a, \"b\""), "callback_id").(string)
	}
	late, soon, claimed := id("13800138001", "+5h"), id("13800138002", "+1h"), id("13800138003", "+3h")
	g.fails(ExitRefused, "greenlane callbacks list --caller", "callbacks", "create", "13800138001")
	g.fails(ExitUsage, "is no time", "callbacks", "reschedule", late, "--due", "soonish")
	g.fails(ExitUsage, "--as", "callbacks", "claim", claimed)
	g.must("callbacks", "claim", claimed, "--as", "back-office")
	g.fails(ExitRefused, "greenlane callbacks list", "callbacks", "claim", claimed, "--as", "another")
	out := g.must("callbacks", "list")
	if i, j, k := strings.Index(out, claimed+" "), strings.Index(out, soon+" "), strings.Index(out, late+" "); i < 0 || j < i || k < j {
		t.Errorf("the order is wrong:\n%s", out)
	}
	g.must("callbacks", "reschedule", late, "--due", time.Now().Add(2*time.Hour).UTC().Format(time.RFC3339))
	g.fails(ExitUsage, "--result", "callbacks", "report", claimed, "--as", "back-office")
	g.fails(ExitUsage, "one of reached, no-answer, busy, refused", "callbacks", "report", claimed, "--as", "back-office", "--result", "maybe")
	g.fails(ExitRefused, "greenlane callbacks list --all", "callbacks", "report", soon, "--as", "back-office", "--result", "reached")
	if got := g.object("callbacks", "report", claimed, "--as", "back-office", "--result", "no-answer"); at(got, "state") != "CALLBACK_STATE_PENDING" || at(got, "attempts") != 1.0 {
		t.Errorf("after no answer: %v", got)
	}
	g.must("callbacks", "claim", claimed, "--as", "back-office")
	g.must("callbacks", "report", claimed, "--as", "back-office", "--result", "reached")
	g.must("callbacks", "cancel", soon, "--reason", "wrong number")
	g.fails(ExitRefused, "", "callbacks", "cancel", soon)
	if out := g.must("callbacks", "list"); strings.Contains(out, soon+" ") || !strings.Contains(out, late+" ") {
		t.Errorf("open ones are\n%s", out)
	}

	file := filepath.Join(t.TempDir(), "callbacks.csv")
	g.must("callbacks", "export", "--to", file)
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) != 4 || rows[1][0] != late || rows[1][len(rows[1])-1] != `a, "b"` {
		t.Errorf("%v: %q", err, rows)
	}
	if out := g.must("callbacks", "export", "--state", "done", "--format", "json"); strings.Count(out, "\n") != 1 || !strings.Contains(out, claimed) {
		t.Errorf("the JSON lines are %s", out)
	}
	g.fails(ExitUsage, "csv or json", "callbacks", "export", "--format", "xls")
}

func TestTiers(t *testing.T) {
	g := serve(t)
	g.must("call", "place", "c1", "--from", "13800138000")
	if got := g.object("tiers", "set", "13800138000", "vip", "--note", "contract", "--expires", "+24h"); got["reranked"] != 1.0 {
		t.Errorf("%v", got)
	}
	if out := g.must("tiers", "get", "13800138000", "13900139000"); !strings.Contains(out, "vip") || !strings.Contains(out, "contract") || !strings.Contains(out, "ordinary") {
		t.Errorf("%s", out)
	}
	g.fails(ExitUsage, "--reason", "tiers", "blacklist", "add", "13800138000")
	if got := g.object("tiers", "blacklist", "add", "13800138000", "--reason", "threats", "--until", "+48h"); got["blacklisted"] != true {
		t.Errorf("%v", got)
	}
	if got := g.object("tiers", "blacklist", "remove", "13800138000"); got["tier"] != "TIER_VIP" {
		t.Errorf("%v", got)
	}
	g.fails(ExitUsage, "one of vip, mid", "tiers", "set", "13800138000", "boss")
	g.fails(ExitUsage, "caller", "tiers", "get", "no number")
	if got := g.object("tiers", "score", "--payment-record", "90", "--order-amount", "40", "--profit-contribution", "80"); got["score"] != 69.0 || got["tier"] != "TIER_MID" {
		t.Errorf("%v", got)
	}
	g.fails(ExitUsage, "figures, or --file", "tiers", "score")
	g.fails(ExitUsage, "", "tiers", "score", "--payment-record", "101")
	name := g.file("customers.csv", "customer,payment_record,order_amount,profit_contribution\nLi,100,100,100\nWu,x,1,1\nHe,0,101,0\nSu,0,0,0\n")
	g.fails(ExitUsage, "not allowed together", "tiers", "score", "--file", name, "--order-amount", "1")
	out, errs, code := g.run(t.Context(), "tiers", "score", "--file", name)
	if code != ExitPartly || out != "customer,payment_record,order_amount,profit_contribution,score,tier\nLi,100,100,100,100,vip\nSu,0,0,0,0,ordinary\n" {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if !strings.Contains(errs, ":3:4: payment_record") || !strings.Contains(errs, ":4:6: order_amount") {
		t.Errorf("%s", errs)
	}
}

func TestADaemonThatIsNotThere(t *testing.T) {
	g := &tool{t, "127.0.0.1:1"}
	g.fails(ExitUnavailable, "connection refused; is greenlaned running there?", "call", "list")
	g.fails(ExitUnavailable, "is greenlaned running there?", "events", "--follow")
	g.fails(ExitUsage, "--timeout", "call", "list", "--timeout", "0s")
	g.fails(ExitUsage, "table or json", "call", "list", "--output", "xml")
}

// TestCompletion: the shell offers words, and the daemon's queues.
func TestCompletion(t *testing.T) {
	g := serve(t)
	for _, c := range []struct{ want, args string }{
		{"default\n", "agent sign-in 1001 --addr " + g.addr + " --queue "},
		{"no-answer\n", "callbacks report cb-1 --result "},
		{"blacklist\n", "tiers set 13800138000 "},
		{"queue_log\n", "events --format "},
		{"sign-in\t", "agent "},
	} {
		cmd := root()
		var out, errs logtest.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&errs)
		cmd.SetArgs(append([]string{"__complete"}, strings.Split(c.args, " ")...))
		if err := cmd.ExecuteContext(t.Context()); err != nil || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s offers %q, %v; want %q", c.args, out.String(), err, c.want)
		}
	}
}
