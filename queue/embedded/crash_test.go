package embedded

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"greenlane/queue"
)

// The child process dies in the middle of a commit: these tell it where.
const (
	childDir   = "GREENLANE_EMBEDDED_CHILD"
	childPoint = "GREENLANE_EMBEDDED_DIE"
)

// childMain serves eight clients, prints every answer that was OK, and kills
// itself before or after a given commit.
func childMain(dir string) {
	var at int64
	var after bool
	if _, err := fmt.Sscanf(os.Getenv(childPoint), "%d %t", &at, &after); err != nil {
		panic(err)
	}
	var commits atomic.Int64
	die := func() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} }
	e, err := Open(dir, testSite(), Options{WrapCommit: func(commit func() error) error {
		now := commits.Add(1) == at
		if now && !after {
			die()
		}
		err := commit()
		if now {
			die()
		}
		return err
	}})
	if err != nil {
		panic(err)
	}
	var out sync.Mutex
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("c%d-%d", c, i)
				if _, err := e.Do(context.Background(), arrive(id)); err != nil {
					panic(err)
				}
				out.Lock()
				fmt.Println("ok", id)
				out.Unlock()
			}
		})
	}
	wg.Wait()
}

// kill -9 at any instant of a commit loses nothing that was answered, and the
// file is in order.
func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	site := testSite()
	for _, point := range []string{"1 false", "1 true", "2 false", "3 true", "10 false", "10 true", "35 false", "60 true"} {
		t.Run(strings.ReplaceAll(point, " ", "-"), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), childDir+"="+dir, childPoint+"="+point)
			var errs bytes.Buffer
			cmd.Stderr = &errs
			out, err := cmd.Output()
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); err == nil || !ok || status.Signal() != syscall.SIGKILL {
				t.Fatalf("the child did not die as told: %v\n%s", err, errs.String())
			}
			e := open(t, dir, Options{})
			last := map[string]int{} // of each client
			for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
				id, ok := strings.CutPrefix(s.Text(), "ok ")
				if !ok {
					continue // cut off by the kill
				}
				info, err := e.Call(context.Background(), id)
				if err != nil {
					t.Fatalf("%s was answered and is lost: %v", id, err)
				}
				if len(info.Events) == 0 || info.Events[0].Type != queue.EventCallJoined {
					t.Errorf("%s has events %v", id, info.Events)
				}
				client, n, _ := strings.Cut(id, "-")
				last[client], _ = strconv.Atoi(n)
			}
			// Of each client at most the one command that was under way is there too.
			page, _, err := e.Calls(context.Background(), queue.CallFilter{Limit: 1000})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range page {
				client, text, _ := strings.Cut(c.ID, "-")
				n, _ := strconv.Atoi(text)
				if answered, ok := last[client]; ok && n > answered+1 || !ok && n > 0 {
					t.Errorf("%s is there, but the client had answers up to %d only", c.ID, answered)
				}
			}
			dumpFile(t, &site, e).equal(t, dumpEngine(t, e, &site), "file")
		})
	}
}

// Power that fails during a commit or a checkpoint leaves any part of what was
// being written on the disk. After a commit that is the state before, or the one
// after when everything is there; a checkpoint changes nothing, whatever is torn.
func TestTornWrites(t *testing.T) {
	t.Parallel()
	clock, site, dir := newTestClock(), testSite(), t.TempDir()
	g := newRandom(3, clock)
	var e *Engine
	var before, after files
	var fresh dump
	var mu sync.Mutex // the decider commits for timers too, and checkpoints come when they come
	const nothing, aCommit, aCheckpoint = 0, 1, 2
	wanted := nothing
	watch := func(what int) func(func() error) error {
		return func(write func() error) error {
			mu.Lock()
			defer mu.Unlock()
			if wanted != what {
				return write()
			}
			before = readSite(t, dir)
			err := write()
			after = readSite(t, dir)
			if what == aCommit {
				fresh = dumpState(t, &site, e.machine.State())
			}
			wanted = nothing
			return err
		}
	}
	e = open(t, dir, Options{Now: clock.Now, NoSync: true, WrapCommit: watch(aCommit), WrapCheckpoint: watch(aCheckpoint)})
	want := func(what int) {
		mu.Lock()
		defer mu.Unlock()
		wanted = what
	}
	for range 12 {
		for range 40 {
			g.do(t, e, g.next())
		}
		old := dumpEngine(t, e, &site)
		want(aCommit)
		for waiting := true; waiting; {
			g.do(t, e, g.next())
			mu.Lock()
			waiting = wanted != nothing
			mu.Unlock()
		}
		for range 8 {
			torn, whole := before.torn(g, after)
			checkTorn(t, torn, map[bool]dump{false: old, true: fresh}[whole])
		}
		want(aCheckpoint)
		if err := e.checkpoint(); err != nil {
			t.Fatal(err)
		}
		for range 8 {
			torn, _ := before.torn(g, after)
			checkTorn(t, torn, fresh)
		}
	}
}

func checkTorn(t *testing.T, torn files, want dump) {
	t.Helper()
	dir := torn.write(t)
	dumpRestored(t, dir, testSite()).equal(t, want, "after the power failed")
	shut(t, open(t, dir, Options{NoSync: true}))
}

// torn returns the files as they were before with some of what was written
// after; whole says that nothing is missing.
func (f files) torn(g *random, after files) (torn files, whole bool) {
	torn, whole = files{}, true
	for name := range after {
		var all bool
		if name == "main.db" {
			torn[name], all = tearPages(g, f[name], after[name])
		} else {
			torn[name], all = tearSectors(g, f[name], after[name])
		}
		whole = whole && all
	}
	return torn, whole
}

// tearSectors tears a journal file, of which sectors of 512 bytes are written in
// any order.
func tearSectors(g *random, before, after []byte) (torn []byte, whole bool) {
	torn, whole = make([]byte, max(len(before), len(after))), true
	copy(torn, before)
	all := g.r.IntN(3) == 0
	for at := 0; at < len(after); at += 512 {
		sector := after[at:min(at+512, len(after))]
		if bytes.Equal(sector, torn[at:at+len(sector)]) {
			continue
		}
		if !all && g.r.IntN(3) == 0 {
			whole = false
			continue
		}
		copy(torn[at:], sector)
	}
	return torn, whole
}

// tearPages tears a database. The meta page goes last, as bbolt orders it.
func tearPages(g *random, before, after []byte) (torn []byte, whole bool) {
	if bytes.Equal(before, after) {
		return before, true
	}
	size := os.Getpagesize()
	torn = make([]byte, max(len(before), len(after)))
	copy(torn, before)
	missing := false
	for at := 2 * size; at < len(after); at += size {
		page := after[at:min(at+size, len(after))]
		if bytes.Equal(page, torn[at:at+len(page)]) {
			continue
		}
		if g.r.IntN(4) == 0 {
			missing = true
			continue
		}
		copy(torn[at:], page)
	}
	if missing {
		return torn, false
	}
	half := g.r.IntN(3)
	for at := 0; at < 2*size; at += size {
		if bytes.Equal(before[at:at+size], after[at:at+size]) {
			continue
		}
		switch half {
		case 0: // written in full
			copy(torn[at:], after[at:at+size])
			whole = true
		case 1: // the first half of the record
			copy(torn[at:], after[at:at+pageHeaderBytes+metaBytes-4])
		}
	}
	return torn, whole
}
