package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/tiering"
	"greenlane/tiering/bulk"
)

// The largest batch that the API takes, and how many are under way at once: one
// that the daemon writes, and others that are sent meanwhile.
const (
	batchItems   = 20_000
	batchStreams = 4
)

// TierImport collects changes (OpGrade) and makes them together over the API.
// They are sorted by number first: the daemon's directory writes neighbours
// together, several times as fast as callers in the order of a file. The changes
// of one number keep their order.
//
// Memory is 16 bytes for a change without end, flags or note, and about 100 and
// the note for another. It is for one goroutine, and may be used again after
// Write.
type TierImport struct {
	store *TierStore
	site  string
	dry   bool

	items   []importItem
	special []special
	notes   int
	first   int64 // the line of the first change

	mu     sync.Mutex
	moves  tiering.Moves
	faults []bulk.Fault
}

// importItem is a change: the number's digits and, above them, the tier; and its
// line, from the first one on.
type importItem struct {
	key     uint64
	line    uint32
	special uint32 // index in special + 1; 0: a plain change
}

const tierShift = 56 // the digits of E.164, at most 15, are below 2^50

// digits and tier of an item.
func (i importItem) digits() uint64     { return i.key & (1<<tierShift - 1) }
func (i importItem) tier() tiering.Tier { return tiering.Tier(i.key >> tierShift) }

// special is what a change has that is not plain.
type special struct {
	ends  *timestamppb.Timestamp
	flags uint32
	note  string
}

// Import returns an empty TierImport. A dry one changes nothing, and counts what
// would move.
func (t *TierStore) Import(site string, dry bool) *TierImport {
	return &TierImport{store: t, site: site, dry: dry}
}

// Len returns how many changes have been added.
func (im *TierImport) Len() int { return len(im.items) }

// Bytes returns about how much memory the changes take.
func (im *TierImport) Bytes() int {
	const itemSize, specialSize = 16, 100
	return len(im.items)*itemSize + len(im.special)*specialSize + im.notes
}

// Add adds a change that stands on a line of a file.
func (im *TierImport) Add(c tiering.Change, line int64) error {
	digits, err := strconv.ParseUint(string(c.Number[min(1, len(c.Number)):]), 10, 50)
	if err != nil || !c.Number.IsE164() || !c.Tier.Valid() {
		return fmt.Errorf("line %d: the number or tier can't be sent", line)
	}
	if len(im.items) == 0 {
		im.first = line
	}
	if line-im.first > math.MaxUint32 {
		return errors.New("too many lines at once")
	}
	item := importItem{key: digits | uint64(c.Tier)<<tierShift, line: uint32(line - im.first)}
	if c.Ends != 0 || c.Flags != 0 || c.Note != "" {
		s := special{flags: uint32(c.Flags), note: c.Note}
		if c.Ends != 0 {
			s.ends = timestamppb.New(c.Ends.Time())
		}
		im.special = append(im.special, s)
		im.notes += len(c.Note)
		item.special = uint32(len(im.special))
	}
	im.items = append(im.items, item)
	return nil
}

// Moves returns how many callers have moved between which tiers since the last
// time it was called.
func (im *TierImport) Moves() tiering.Moves {
	im.mu.Lock()
	defer im.mu.Unlock()
	moves := im.moves
	im.moves = tiering.Moves{}
	return moves
}

// Write makes the changes, empties the TierImport, and returns what the daemon
// found wrong with single lines. After an error some changes were made, and
// writing again is safe; what moves are counted twice by that is little.
func (im *TierImport) Write(ctx context.Context) ([]bulk.Fault, error) {
	slices.SortFunc(im.items, func(a, b importItem) int {
		return cmp.Or(cmp.Compare(a.digits(), b.digits()), cmp.Compare(a.line, b.line))
	})
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan []importItem)
	var sending, senders sync.WaitGroup
	for range batchStreams {
		senders.Go(func() {
			for items := range next {
				if err := im.send(ctx, items); err != nil {
					cancel(err)
				}
				sending.Done()
			}
		})
	}
	for rest := im.items; len(rest) > 0 && ctx.Err() == nil; {
		size, alone := batchSize(rest)
		if alone {
			sending.Wait()
		}
		sending.Add(1)
		next <- rest[:size]
		rest = rest[size:]
		if alone {
			sending.Wait()
		}
	}
	close(next)
	senders.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	faults := im.faults
	im.items, im.special, im.notes, im.faults = im.items[:0], im.special[:0], 0, nil
	slices.SortFunc(faults, func(a, b bulk.Fault) int { return cmp.Compare(a.Line, b.Line) })
	return faults, nil
}

// batchSize returns how many of the sorted items make the next batch. The
// changes of one number are never in two batches that are under way at once:
// where there are more of them than a batch holds, it must be alone.
func batchSize(items []importItem) (size int, alone bool) {
	if len(items) <= batchItems {
		return len(items), false
	}
	size = batchItems
	for size > 0 && items[size].digits() == items[size-1].digits() {
		size--
	}
	if size == 0 {
		return batchItems, true
	}
	return size, false
}

// send sends a batch and notes what became of it. Unset numbers of items are
// those that the daemon found wrong.
func (im *TierImport) send(ctx context.Context, items []importItem) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	stream, err := im.store.s.tiers().BatchSet(ctx)
	if err != nil {
		return err
	}
	var req pb.TierServiceBatchSetRequest
	number := make([]byte, 0, 16)
	for i, item := range items {
		number = strconv.AppendUint(append(number[:0], '+'), item.digits(), 10)
		req.Caller, req.Tier = string(number), pb.Tier(item.tier())
		req.Note, req.ExpiresAt, req.Flags = "", nil, 0
		if item.special > 0 {
			s := &im.special[item.special-1]
			req.Note, req.ExpiresAt, req.Flags = s.note, s.ends, s.flags
		}
		req.Site, req.DryRun, req.OnlyFailures = "", false, false
		if i == 0 {
			req.Site, req.DryRun, req.OnlyFailures = im.site, im.dry, true
		}
		if err := stream.Send(&req); err != nil {
			if errors.Is(err, io.EOF) {
				break // the daemon has said why already
			}
			return err
		}
	}
	res, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	for _, m := range res.GetMoves() {
		if int(m.GetFrom()) < len(im.moves) && int(m.GetTo()) < len(im.moves) {
			im.moves[m.GetFrom()][m.GetTo()] += int64(m.GetCallers())
		}
	}
	for _, r := range res.GetResults() {
		if !r.GetOk() && int(r.GetIndex()) < len(items) {
			im.faults = append(im.faults, bulk.Fault{Line: im.first + int64(items[r.GetIndex()].line), Err: errors.New(r.GetMessage())})
		}
	}
	return nil
}

// TierStoreAway reports whether an error says that the daemon did not confirm,
// so that trying again may help.
func TierStoreAway(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded:
		return true
	}
	return errors.Is(err, tiering.ErrUnavailable)
}
