package tiering

import "context"

// Directory keeps callers' tiers, by site and number. It is a port: package
// filedir keeps them in a file, for one daemon; an adapter for a shared store
// passes the same suite (tieringtest.Run).
//
// A Directory reads no clock: changes carry their instant, and what an entry
// comes to at a moment is for Entry.At to say. It may be used by any number of
// goroutines.
//
// These errors hold for every method that returns one:
//
//   - ErrSite for a site that CheckSite refuses. Don't repeat.
//   - The error of ctx when it is done before the method is. Nothing was read;
//     of changes, some may have been made.
//   - ErrUnavailable when the store does not answer or can't write. Nothing was
//     read; of changes, some may have been made.
//   - ErrClosed after Close. Nothing was read or changed.
//
// Every method is safe to repeat after any error: changes say what shall be,
// not what to add.
type Directory interface {
	// Lookup returns what is known of the caller n. A caller of whom nothing is
	// known is the zero Entry and known false, without an error; so is Withheld.
	// The entry is as stored: what has ended by now is still in it.
	//
	// GradedAt and UpdatedAt may come back truncated to the second; everything
	// else comes back as it was given.
	//
	// Errors also: ErrNumber for a number that Check refuses; ErrCorrupt when what
	// is stored can't be read. It has then been reported and set aside, and the
	// next Lookup finds the caller unknown.
	Lookup(ctx context.Context, site string, n Number) (e Entry, known bool, err error)

	// LookupBatch looks many callers up at once: an entry for each number, at the
	// same index, and the zero Entry for those of whom nothing is known. What can't
	// be read counts as unknown and stays where it is: whoever looks that caller up
	// alone is told.
	//
	// Errors also: ErrNumber when Check refuses one of the numbers; a withheld one
	// too, since nobody asks for many of those.
	LookupBatch(ctx context.Context, site string, ns []Number) ([]Entry, error)

	// Set makes one change in one atomic step, as Change.Apply defines it, and
	// returns the entry after it; the zero Entry when none is left. No error means
	// that the change outlives the end of the process, as far as the adapter's
	// store promises that.
	//
	// Where what was stored can't be read, the change is made to an unknown
	// caller, and the unreadable is reported and set aside.
	//
	// Errors also: ErrNumber and ErrEntry for a change that Check refuses.
	Set(ctx context.Context, site string, c Change) (Entry, error)

	// SetBatch makes many changes, in their order, each as Set would: a later
	// change of a number sees the earlier one. There is one result for each
	// change, at the same index, and a wrong or failed change keeps none of the
	// others from being made.
	SetBatch(ctx context.Context, site string, cs []Change) []Result

	// Walk returns a page of the site's entries and the cursor of the next page.
	// The first page is at the empty cursor; after the last one the next cursor is
	// empty. The order is the adapter's own. A page holds about limit items (a
	// limit below 1 counts as 1) and may be empty before the end. An entry that is
	// there during the whole walk is returned at least once; one that comes or
	// goes meanwhile may be.
	//
	// Errors also: ErrCursor for a cursor that no walk returned. ErrCorrupt when
	// the page held entries that can't be read: they were reported and set aside,
	// and the readable items and the next cursor are returned beside the error, so
	// that the walk can go on.
	Walk(ctx context.Context, site string, from Cursor, limit int) (items []Item, next Cursor, err error)

	// WalkBlacklist is Walk for those entries only that are on the blacklist,
	// whether that has ended by now or not. It costs no more than they are many,
	// or than a bounded piece of the others for each page.
	WalkBlacklist(ctx context.Context, site string, from Cursor, limit int) (items []Item, next Cursor, err error)

	// Count returns how many of the site's entries have each tier, counting an
	// entry as Entry.Stored does: whether something has ended is not looked at. All
	// four tiers are keys. A site that nobody wrote to has none of each.
	Count(ctx context.Context, site string) (map[Tier]int64, error)

	// Subscribe has fn called after every change that may alter what At returns,
	// with the entry after it (the zero Entry when none is left), so that a caller
	// who waits can be ranked again. For a change made through this Directory that
	// happens before Set or SetBatch returns; of changes made elsewhere on a shared
	// store, as soon as they are heard of. The changes of one number come in their
	// order. It is a hint: calls may come twice, come for nothing, and be missed
	// while a shared store is away. What matters is what Lookup says. An entry that
	// ends is no change.
	//
	// fn must return quickly and must not write to this Directory. cancel ends
	// it and may be called twice; a call that is under way may still finish.
	Subscribe(fn func(site string, n Number, e Entry)) (cancel func())

	// Close ends the Directory's work, waits for the methods under way and gives
	// up what it holds. Closing again does nothing and returns nil.
	Close() error
}

// Cursor is a place in a walk. Only the adapter that returned it can read it.
type Cursor string

// Item is an entry and whose it is.
type Item struct {
	Number Number
	Entry  Entry
}

// Result is what became of one change of a batch: the entry before and after it
// (the zero Entry when there was or is none), or why it was not made.
type Result struct {
	Before Entry
	Entry  Entry
	Err    error
}

// Moves counts callers by the tier they had (TierUnset when nothing was known)
// and the tier they have: moves[from][to].
type Moves [len(Tiers) + 1][len(Tiers) + 1]int64

// Add adds o to m.
func (m *Moves) Add(o *Moves) {
	for from := range o {
		for to, n := range o[from] {
			m[from][to] += n
		}
	}
}
