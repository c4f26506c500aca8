package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"greenlane/queue"
	"greenlane/tiering"
)

// TestFaults reads each file of testdata. Its first lines say what must be
// reported; a file with one such line has exactly that one fault.
func TestFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for line := range strings.Lines(string(text)) {
				if w, ok := strings.CutPrefix(line, "# want: "); ok {
					want = append(want, strings.TrimSpace(w))
				}
			}
			_, err = Load(file, Flags{})
			if err == nil {
				t.Fatalf("no fault reported; want %q", want)
			}
			for _, w := range want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("want %q in:\n%v", w, err)
				}
			}
			if n := len(split(err)); n != len(want) {
				t.Errorf("%d faults reported, want %d:\n%v", n, len(want), err)
			}
			if strings.Contains(err.Error(), "config.") || strings.Contains(err.Error(), "!!") {
				t.Errorf("the report speaks of Go or YAML types:\n%v", err)
			}
		})
	}
}

func load(t *testing.T, path string, flags Flags) *Config {
	t.Helper()
	c, err := Load(path, flags)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWithoutAFileTheDesignsDefaultsHold(t *testing.T) {
	for _, path := range []string{"", "testdata/good/empty.yaml", "testdata/good/comment.yaml"} {
		c := load(t, path, Flags{})
		if c.Listen != "127.0.0.1:7316" || c.HTTP != "127.0.0.1:7317" || c.Data != "./data" || c.Engine != "embedded" ||
			!c.Reflection || c.Insecure || c.Number.Region != "CN" || c.TierLookupDeadline.D() != 50*time.Millisecond {
			t.Errorf("%s: %+v", path, c)
		}
		sites, err := c.BuildSites()
		if err != nil || len(sites) != 1 {
			t.Fatal(sites, err)
		}
		want := queue.DefaultSite("main")
		want.Routes = map[string]string{}
		if sites[0].Zone.String() != "Asia/Shanghai" {
			t.Errorf("zone %v", sites[0].Zone)
		}
		sites[0].Zone, want.Zone = nil, nil
		sites[0].Callback.Zone, want.Callback.Zone = nil, nil
		if !reflect.DeepEqual(sites[0], want) {
			t.Errorf("the default site is\n%+v\nwant the core's own\n%+v", sites[0], want)
		}
		if c.Grading.Scheme() != tiering.DefaultScheme() {
			t.Errorf("grading %+v", c.Grading)
		}
	}
}

func TestEveryKeyArrives(t *testing.T) {
	c := load(t, "testdata/good/full.yaml", Flags{})
	sites, err := c.BuildSites()
	if err != nil {
		t.Fatal(err)
	}
	berlin, _ := time.LoadLocation("Europe/Berlin")
	shanghai, _ := time.LoadLocation("Asia/Shanghai")
	h := time.Hour
	east := sites[0]
	for _, x := range []struct {
		what      string
		got, want any
	}{
		{"zone", east.Zone, berlin}, {"callback zone", east.Callback.Zone, berlin}, {"routes", east.Routes["95556"], "night"},
		{"blacklist", east.RejectBlacklist, true}, {"preemption", east.Preemption, false}, {"max_waiting", east.MaxWaiting, 5000},
		{"short_abandon", east.Callback.ShortAbandon, 3 * time.Second}, {"keep.callbacks_age", east.Keep.CallbacksAge, 720 * h},
		{"keep.cohorts_age", east.Keep.CohortsAge, 84 * h}, {"keep.agents_age", east.Keep.AgentsAge, 8 * h},
		{"keep.tiers_age", c.Sites[0].Keep.TiersAge.D(), 730 * 24 * h},
		{"callback.window_from", east.Callback.WindowFrom, 8*h + 30*time.Minute}, {"callback.tiers", east.Callback.Tiers, []tiering.Tier{tiering.VIP, tiering.Mid}},
		{"targets", east.Queues[0].Targets, map[tiering.Tier]float64{tiering.VIP: 0.95, tiering.Mid: 0.9, tiering.Blacklist: 0.5}},
		{"overflow", east.Queues[0].Overflow, queue.Overflow{After: 2 * time.Minute, To: "night"}},
		{"hours zone", east.Queues[0].Hours.Zone, shanghai},
		{"monday", east.Queues[0].Hours.Week[time.Monday], []queue.Span{{From: 9 * h, To: 12 * h}, {From: 13 * h, To: 18 * h}}},
		{"friday", east.Queues[0].Hours.Week[time.Friday], []queue.Span{{From: 9 * h, To: 24 * h}}},
		{"christmas eve", east.Queues[0].Hours.Holidays["2026-12-24"], []queue.Span{{From: 9 * h, To: 12 * h}}},
		{"other queue's threshold", east.Queues[1].Threshold, 20 * time.Second}, {"no hours", east.Queues[1].Hours, (*queue.Hours)(nil)},
		{"other site's queue", sites[1].Queues[0].Name, "default"}, {"other site's default", sites[1].DefaultQueue, "default"},
	} {
		if !reflect.DeepEqual(x.got, x.want) {
			t.Errorf("%s: %v, want %v", x.what, x.got, x.want)
		}
	}
	if spans, closed := east.Queues[0].Hours.Holidays["2026-10-01"]; !closed || len(spans) != 0 {
		t.Errorf("the first of October is not a closed holiday: %v", east.Queues[0].Hours.Holidays)
	}
}

func TestFlagsWinOverTheFile(t *testing.T) {
	listen, data, yes, redis := "127.0.0.1:1", "elsewhere", true, "h1:1, h2:2"
	c := load(t, "testdata/good/full.yaml", Flags{Listen: &listen, Data: &data, Insecure: &yes, Redis: &redis})
	if c.Listen != listen || c.Data != data || !reflect.DeepEqual(c.Redis.Addresses, []string{"h1:1", "h2:2"}) || c.StopTimeout.D() != 20*time.Second {
		t.Errorf("%+v", c)
	}
	public := "0.0.0.0:7316"
	if _, err := Load("", Flags{Listen: &public}); err == nil || !strings.Contains(err.Error(), "--insecure") {
		t.Errorf("a public address without TLS: %v", err)
	}
	load(t, "", Flags{Listen: &public, Insecure: &yes})
}

// TestPrintedReadsBack prints the effective configuration and reads it again.
func TestPrintedReadsBack(t *testing.T) {
	for _, path := range []string{"", "testdata/good/full.yaml"} {
		c := load(t, path, Flags{})
		text, err := c.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "secret") {
			t.Errorf("the password is printed:\n%s", text)
		}
		again := filepath.Join(t.TempDir(), "again.yaml")
		if err := os.WriteFile(again, text, 0o600); err != nil {
			t.Fatal(err)
		}
		got := load(t, again, Flags{})
		got.Redis.Password, got.Redis.SentinelPassword = c.Redis.Password, c.Redis.SentinelPassword
		want, _ := c.BuildSites()
		have, _ := got.BuildSites()
		if !reflect.DeepEqual(have, want) {
			t.Errorf("%q: sites differ:\n%+v\n%+v", path, have, want)
		}
		got.Sites, c.Sites = nil, nil
		if !reflect.DeepEqual(got, c) {
			t.Errorf("%q read back:\n%+v\nwant\n%+v", path, got, c)
		}
	}
}

func TestFileThatIsNotThere(t *testing.T) {
	if _, err := Load("testdata/none.yaml", Flags{}); err == nil || !strings.Contains(err.Error(), "testdata/none.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestScalarsReadBack(t *testing.T) {
	for _, s := range []string{"0s", "1ms", "1.5s", "20s", "1m", "1m30s", "1h", "90m", "24h", "36h", "1h0m1s"} {
		d, err := ParseDuration(s)
		if err != nil {
			t.Fatal(s, err)
		}
		if again, err := ParseDuration(d.String()); err != nil || again != d {
			t.Errorf("%s is written %s and read as %v, %v", s, d, again, err)
		}
	}
	for _, s := range []string{"00:00", "09:00", "9:05", "23:59:59", "24:00"} {
		c, err := ParseClockTime(s)
		if err != nil {
			t.Fatal(s, err)
		}
		if again, err := ParseClockTime(c.String()); err != nil || again != c {
			t.Errorf("%s is written %s and read as %v, %v", s, c, again, err)
		}
	}
	for _, s := range []string{"", "9", "09:60", "24:01", "-1:00", "09:00:60"} {
		if _, err := ParseClockTime(s); err == nil {
			t.Errorf("%q is read as a time of day", s)
		}
	}
}

// FuzzLoad: whatever a file holds, reading it gives a configuration that prints
// and reads back, or faults; never a panic.
func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	good, _ := filepath.Glob("testdata/good/*.yaml")
	for _, file := range append(files, good...) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := Default()
		faults, fatal := c.decode(text)
		if fatal || len(faults) > 0 || c.Validate() != nil {
			return
		}
		printed, err := c.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again := Default()
		if faults, _ := again.decode(printed); len(faults) > 0 {
			t.Fatalf("what was printed has faults: %v\n%s", faults, printed)
		}
	})
}

func TestASmallShareLowersTheDefaultsBelowIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("sites: [{name: main, queues: [{name: a, shares: {ordinary: 0.5}}]}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	sites, err := load(t, file, Flags{}).BuildSites()
	if err != nil {
		t.Fatal(err)
	}
	want := map[tiering.Tier]float64{tiering.Mid: 0.95, tiering.Ordinary: 0.5, tiering.Blacklist: 0.5}
	if got := sites[0].Queues[0].Shares; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
