package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"greenlane/internal/config"
	"greenlane/internal/instant"
	"greenlane/internal/redistest"
	"greenlane/tiering"
)

// careMonths are the names of the last three months, the oldest first.
func careMonths(t *testing.T) (names [3]string) {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	now := tiering.MonthOf(instant.Of(time.Now()), zone)
	for i := range names {
		names[i] = (now - 2 + tiering.Month(i)).String()
	}
	return names
}

// TestCare rates callers and lists them, on both directories.
func TestCare(t *testing.T) {
	s := redistest.Start(t, redistest.Options{AOF: true})
	for name, change := range map[string]func(*config.Config){
		"embedded": func(*config.Config) {},
		"redis":    func(c *config.Config) { c.Redis.Addresses = []string{s.Addr()} },
	} {
		t.Run(name, func(t *testing.T) {
			g := serve(t, change, func(c *config.Config) { c.Care.Callback = true })
			months := careMonths(t)
			for i, scores := range []string{"222", "443", "543", "432"} {
				for m, score := range scores {
					g.must("care", "rate", fmt.Sprintf("1380013800%d", i), string(score), "--month", months[m])
				}
			}
			out := g.must("care", "list")
			var classes []string
			for line := range strings.Lines(out) {
				classes = append(classes, strings.Fields(line)[0])
			}
			if got := strings.Join(classes, " "); got != "CLASS falling-dissatisfied falling fell always-dissatisfied" {
				t.Errorf("%s\n%s", got, out)
			}
			lines := g.must("care", "list", "--class", "fell", "--output", "json")
			if strings.Count(lines, "\n") != 1 || !strings.Contains(lines, `"caller":"+8613800138001","class":"CARE_CLASS_FELL"`) {
				t.Error(lines)
			}
			if cbs := g.must("callbacks", "list"); strings.Count(cbs, "\n") != 2 || !strings.Contains(cbs, "+8613800138003") {
				t.Errorf("the first class is not called back:\n%s", cbs)
			}
			once := g.object("care", "rate", "13800138000", "5", "--request-id", "r1")
			again := g.object("care", "rate", "13800138000", "5", "--request-id", "r1")
			if once["repeated"] != false || again["repeated"] != true {
				t.Errorf("%v\n%v", once, again)
			}
			g.fails(ExitUsage, "1 to 5", "care", "rate", "13800138000", "6")
			g.fails(ExitUsage, "month", "care", "rate", "13800138000", "3", "--month", "2001-01")
			g.fails(ExitUsage, "--class", "care", "list", "--class", "angry")
			g.fails(ExitUsage, "dissatisfied", "care", "list", "--dissatisfied", "0")
			g.fails(ExitUsage, "caller", "care", "rate", "nobody", "3")
		})
	}
}

func TestBlacklistList(t *testing.T) {
	g := serve(t)
	if out := g.must("tiers", "blacklist", "list"); out != "caller,reason,since,until,grade\n" {
		t.Error(out)
	}
	g.must("tiers", "set", "13800138000", "mid")
	g.must("tiers", "blacklist", "add", "13800138000", "--reason", "threats, twice", "--until", "+720h")
	g.must("tiers", "blacklist", "add", "13800138001", "--reason", "r")
	out := g.must("tiers", "blacklist", "list")
	if strings.Count(out, "\n") != 3 || !strings.Contains(out, `+8613800138000,"threats, twice",20`) || !strings.Contains(out, ",mid\n") {
		t.Error(out)
	}
	if out = g.must("tiers", "blacklist", "list", "--output", "json"); strings.Count(out, "\n") != 2 || !strings.Contains(out, `"reason":"r"`) {
		t.Error(out)
	}
	g.must("tiers", "blacklist", "remove", "13800138001")
	if out = g.must("tiers", "blacklist", "list"); strings.Contains(out, "+8613800138001") {
		t.Error(out)
	}
}

func TestScoreBySixFactors(t *testing.T) {
	g := serve(t)
	got := g.object("tiers", "score", "--preset", "six-factor", "--figure", "growth=100,years_with_us=100", "--order-amount", "100")
	if got["score"] != 50.0 || got["tier"] != "TIER_ORDINARY" {
		t.Error(got)
	}
	name := g.file("six.csv", "customer,payment_record,years_with_us,order_frequency,growth,order_amount,profit_contribution\nLi,100,100,100,100,100,50\nSu,1,2,3,4,5,\n")
	out, errs, code := g.run(t.Context(), "tiers", "score", "--preset", "six-factor", "--file", name, "--output", "json")
	if code != ExitPartly || out != "{\"line\":2,\"customer\":\"Li\",\"score\":90,\"tier\":\"vip\"}\n" || !strings.Contains(errs, ":3:14: profit_contribution") {
		t.Errorf("%d\n%s\n%s", code, out, errs)
	}
	g.fails(ExitUsage, "colour", "tiers", "score", "--figure", "colour=1")
	g.fails(ExitUsage, "--figure", "tiers", "score", "--figure", "growth=x")
	g.fails(ExitUsage, "preset", "tiers", "score", "--preset", "seven-factor", "--order-amount", "1")
}

// TestPlaceManyTellsInOrder: calls are on their way together, and what became of
// them is told in the order of the file.
func TestPlaceManyTellsInOrder(t *testing.T) {
	g := serve(t)
	var text strings.Builder
	text.WriteString("call_id,caller,queue\n")
	var want []string
	for i := range 300 {
		queue := "default"
		if i%7 == 0 {
			queue = "nowhere"
			want = append(want, fmt.Sprint(i+2))
		}
		fmt.Fprintf(&text, "c%d,138%08d,%s\n", i, i, queue)
	}
	name := g.file("calls.csv", text.String())
	for _, jobs := range []string{"1", "64"} {
		out, errs, code := g.run(t.Context(), "call", "place", "--many", name, "--switch", "sw", "--jobs", jobs)
		var got []string
		for line := range strings.Lines(errs) {
			got = append(got, strings.Split(strings.TrimPrefix(line, name), ":")[1])
		}
		if code != ExitPartly || strings.Join(got, " ") != strings.Join(want, " ") || !strings.Contains(out, "257") {
			t.Errorf("%s: %d, %s\n%v", jobs, code, out, got)
		}
	}
	if n := strings.Count(g.must("call", "list"), "\n"); n != 258 {
		t.Errorf("%d lines of calls", n)
	}
	g.fails(ExitUsage, "--jobs", "call", "place", "--many", name, "--jobs", "0")
}
