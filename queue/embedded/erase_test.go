package embedded

import (
	"path/filepath"
	"testing"

	"greenlane/queue"
)

// TestACallerErasedAtTheEndIsGoneFromThePlainFile: also when the step that erased was
// the end of a call, in another run than the one that was asked.
func TestACallerErasedAtTheEndIsGoneFromThePlainFile(t *testing.T) {
	t.Parallel()
	clock, dir := newTestClock(), t.TempDir()
	opts := Options{Now: clock.Now, NoSync: true}
	e := open(t, dir, opts)
	pushCanary(t, e, clock)
	if res := mustDo(t, e, &queue.EraseCaller{Caller: canary, AtEnd: true}); res.AtEnd != 1 || res.Live != 0 || res.ErasedCalls != 1 {
		t.Fatalf("%+v", res)
	}
	shut(t, e)
	e = open(t, dir, opts) // written anew for what was erased, with the call that waits
	if res := mustDo(t, e, &queue.End{Call: "waits", Switch: "sw"}); res.Call.Caller != "" {
		t.Errorf("its end is answered %+v", res.Call)
	}
	shut(t, e)
	shut(t, open(t, dir, opts))
	mustNotHold(t, filepath.Join(dir, "main.db"), canary)
}
