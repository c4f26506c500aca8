package audit

import (
	"fmt"
	"maps"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func TestRefusedLoginsShareRecords(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		r := NewRefusals(l)
		for range 1000 {
			r.Refused(Refusal{Reason: "expired", Name: "7001", Host: "192.0.2.1"})
		}
		synctest.Wait()
		if got := entries(t, dir, Filter{Action: "login"}); len(got) != 1 || got[0].Detail["times"] != "1" || got[0].Who.Name != "7001" {
			t.Errorf("at once: %d records", len(got))
		}
		time.Sleep(2 * refusalEvery) // the bubble's clock
		synctest.Wait()
		r.Refused(Refusal{Reason: "unknown", Host: "192.0.2.2"})
		for i := range 10_000 {
			r.Refused(Refusal{Reason: "unknown", Host: fmt.Sprint(i)})
		}
		r.Close()
		closeLog(t, l)
	})
	got := entries(t, dir, Filter{Action: ActionLoginRefused})
	times := map[string]string{}
	for _, e := range got {
		times[e.Detail["reason"]+" "+e.Who.Peer] = e.Detail["times"]
	}
	if times["expired 192.0.2.1"] != "999" || times["others "] == "" || len(got) > refusalKinds+5 {
		t.Errorf("%d records: %v", len(got), times)
	}
	sound(t, dir, Verification{})
}

// TestStrangersHideNobody: however many refusals nobody known stands behind, and
// however many somebody known causes, those of the others are told.
func TestStrangersHideNobody(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { // no minute ends in between
		l, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		r := NewRefusals(l)
		for i := range 3 * refusalKinds {
			r.Refused(Refusal{Reason: "invalid", Host: fmt.Sprint("a", i)})
		}
		for range 20 {
			r.Refused(Refusal{Reason: "denied", Name: "7001", Host: "192.0.2.1"})
		}
		for i := range 2 * refusalKinds {
			r.Refused(Refusal{Reason: "denied", Name: "13800138222", Host: fmt.Sprint("b", i)})
		}
		r.Close()
		closeLog(t, l)
	})
	times := map[string]int{}
	for _, e := range entries(t, dir, Filter{Action: ActionLoginRefused}) {
		n, _ := strconv.Atoi(e.Detail["times"])
		times[e.Detail["reason"]+" "+e.Who.Name] += n
	}
	want := map[string]int{
		"invalid ": refusalKinds, "others ": 2 * refusalKinds, "denied 7001": 20,
		"denied *******8222": refusalKinds - 1, "others with a name ": refusalKinds + 1,
	}
	if !maps.Equal(times, want) {
		t.Errorf("recorded %v, want %v", times, want)
	}
}
