package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"greenlane/tiering"
	"greenlane/tiering/redisdir"
)

// A chunk is written when it has so many changes or takes so much memory, and the
// next one is read meanwhile. The first ones are smaller, so that the writing
// begins soon.
const (
	firstShare   = 8 // of the full size
	redisChanges = redisdir.ImportSize
	apiChanges   = 1 << 19
	chunkBytes   = 24 << 20
)

// move is how many callers had a tier and have one.
type move struct {
	From    string `json:"from"`
	To      string `json:"to"`
	Callers int64  `json:"callers"`
	What    string `json:"what"` // new, promoted, demoted or stays
}

// movesOf lists the moves, in the order of the tiers.
func movesOf(moves *tiering.Moves) []move {
	names := map[tiering.Tier]string{tiering.TierUnset: "unknown"}
	for _, tier := range tiering.Tiers {
		names[tier] = tier.String()
	}
	all := []move{}
	for _, from := range slices.Sorted(maps.Keys(names)) {
		for _, to := range tiering.Tiers {
			n := moves[from][to]
			if n == 0 {
				continue
			}
			m := move{names[from], names[to], n, "stays"}
			switch {
			case from == tiering.TierUnset:
				m.What = "new"
			case to < from:
				m.What = "promoted"
			case to > from:
				m.What = "demoted"
			}
			all = append(all, m)
		}
	}
	return all
}

// report says what the import came to.
func (j *importJob) report() error {
	n := &j.noted
	if j.asJSON {
		enc := json.NewEncoder(j.out)
		enc.SetIndent("", "  ")
		err := enc.Encode(struct {
			Good   int64  `json:"good"`
			Bad    int64  `json:"bad"`
			DryRun bool   `json:"dry_run"`
			CutOff bool   `json:"cut_off"`
			Moves  []move `json:"moves"`
		}{n.Good, n.Bad, j.dry, j.cut, movesOf(&n.Moves)})
		if err != nil {
			return err
		}
	} else {
		verb := "in"
		if j.dry {
			verb = "to come in (dry run: nothing was changed)"
		}
		fmt.Fprintf(j.out, "%s callers %s, %s lines wrong\n", grouped(n.Good), verb, grouped(n.Bad))
		printMoves(j.out, &n.Moves)
	}
	if j.cut {
		fmt.Fprintf(j.errs, "%s: note: line %d has no end, and counts as it reads: the file may have been cut off\n", j.name, n.End.Line)
	}
	if n.Bad > 0 {
		return errPartly
	}
	return nil
}

// printMoves prints how many callers had which tier, and have which.
func printMoves(w io.Writer, moves *tiering.Moves) {
	for _, m := range movesOf(moves) {
		fmt.Fprintf(w, "%13s  %-9s to    %-9s  %s\n", grouped(m.Callers), m.From, m.To, m.What)
	}
}
