package queuetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"greenlane/callback"
	"greenlane/queue"
)

// refusals lists every kind of refusal; two errors are alike when they are of
// the same kind.
var refusals = []error{
	queue.ErrInvalid, queue.ErrQueueNotFound, queue.ErrAgentNotFound, queue.ErrCallNotFound, queue.ErrOfferNotFound,
	queue.ErrCallbackNotFound, queue.ErrCallExists, queue.ErrCallbackExists, queue.ErrRequestReused, queue.ErrOfferEnded,
	queue.ErrWrongState, callback.ErrState, callback.ErrClaimed, callback.ErrNotClaimant, callback.ErrClaimant,
	callback.ErrResult, callback.ErrDue, callback.ErrDeadline,
}

// kindOf names the kind of an error, in the words of its sentinel; "" is none.
func kindOf(err error) string {
	for _, kind := range refusals {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func diffEvents(got, want []queue.Event) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return "the machine lacks " + FormatEvent(want[i])
		case i >= len(want):
			return "the model lacks " + FormatEvent(got[i])
		case got[i] != want[i]:
			return fmt.Sprintf("machine %s, model %s%s", FormatEvent(got[i]), FormatEvent(want[i]), diffFields(got[i], want[i]))
		}
	}
	return ""
}

// diffResults compares two answers. The estimated wait is left out: it is a
// forecast, and its formula a matter of taste.
func diffResults(got, want queue.Result) string {
	got.EstimatedWait, want.EstimatedWait = 0, 0
	got.Items, want.Items = slices.Clone(got.Items), slices.Clone(want.Items) // the machine keeps its own
	for i := range min(len(got.Items), len(want.Items)) {
		g, w := &got.Items[i], &want.Items[i]
		if kindOf(g.Err) == kindOf(w.Err) {
			g.Err, w.Err = nil, nil
		}
	}
	if len(got.Items) == 0 && len(want.Items) == 0 {
		got.Items, want.Items = nil, nil
	}
	normalizeCall(got.Call)
	normalizeCall(want.Call)
	for _, o := range []*queue.Offer{got.Offer, want.Offer} {
		if o != nil {
			normalizeCall(o.Call)
		}
	}
	return diffFields(got, want)
}

// normalizeCall makes empty lists nil, so that they compare.
func normalizeCall(c *queue.Call) {
	if c == nil {
		return
	}
	c.DeclinedBy, c.Events, c.Attributes = emptyNil(c.DeclinedBy), emptyNil(c.Events), emptyNil(c.Attributes)
}

func emptyNil[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

// diffFields lists the exported fields in which two structs of one type differ.
func diffFields(got, want any) string {
	var out []string
	g, w := reflect.Indirect(reflect.ValueOf(got)), reflect.Indirect(reflect.ValueOf(want))
	for i := range g.NumField() {
		if !g.Type().Field(i).IsExported() {
			continue
		}
		x, y := g.Field(i), w.Field(i)
		if reflect.DeepEqual(x.Interface(), y.Interface()) {
			continue
		}
		name := g.Type().Field(i).Name
		if x.Kind() == reflect.Pointer && !x.IsNil() && !y.IsNil() {
			out = append(out, name+"{"+diffFields(x.Interface(), y.Interface())+"}")
			continue
		}
		out = append(out, fmt.Sprintf("%s: machine %+v, model %+v", name, show(x), show(y)))
	}
	return strings.Join(out, "; ")
}

func show(v reflect.Value) any {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		return v.Elem().Interface()
	}
	return v.Interface()
}

// DiffStates says how two sets of records differ. Left out are the requests
// and what a queue learns for its estimates.
func DiffStates(got, want *queue.State) string {
	got.Meta.RequestSeq = want.Meta.RequestSeq
	if got.Meta != want.Meta {
		return "meta: " + diffFields(got.Meta, want.Meta)
	}
	sortRecords(got)
	sortRecords(want)
	return firstOf(
		func() string { return diffRecords("calls", cloneCalls(got.Calls), cloneCalls(want.Calls)) },
		func() string { return diffRecords("agents", got.Agents, want.Agents) },
		func() string { return diffRecords("offers", clearAckBy(got.Offers), clearAckBy(want.Offers)) },
		func() string { return diffRecords("callbacks", got.Callbacks, want.Callbacks) },
		func() string { return diffRecords("owners", got.Owners, want.Owners) },
		func() string { return diffRecords("switches", got.Switches, want.Switches) },
		func() string { return diffRecords("cohorts", nonZero(got.Cohorts), nonZero(want.Cohorts)) },
		func() string { return diffRecords("totals", got.Totals, want.Totals) },
	)
}

func firstOf(checks ...func() string) string {
	for _, check := range checks {
		if diff := check(); diff != "" {
			return diff
		}
	}
	return ""
}

// cloneCalls returns copies whose empty lists are nil.
func cloneCalls(calls []*queue.Call) []*queue.Call {
	out := make([]*queue.Call, 0, len(calls))
	for _, c := range calls {
		copied := c.Clone()
		normalizeCall(copied)
		out = append(out, copied)
	}
	return out
}

// clearAckBy: what is over is watched no longer, whatever the record says.
func clearAckBy(offers []*queue.OfferRecord) []*queue.OfferRecord {
	out := make([]*queue.OfferRecord, 0, len(offers))
	for _, o := range offers {
		copied := *o
		if copied.Ended != "" {
			copied.AckBy = 0
		}
		out = append(out, &copied)
	}
	slices.SortFunc(out, func(a, b *queue.OfferRecord) int { return int(a.Epoch) - int(b.Epoch) })
	return out
}

func nonZero(cohorts []*queue.Cohort) []*queue.Cohort {
	return slices.DeleteFunc(slices.Clone(cohorts), func(c *queue.Cohort) bool { return c.Counts == queue.Counts{} })
}

func diffRecords[T any](kind string, got, want []*T) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("%s: the machine lacks %+v", kind, *want[i])
		case i >= len(want):
			return fmt.Sprintf("%s: the model lacks %+v", kind, *got[i])
		case !reflect.DeepEqual(got[i], want[i]):
			return fmt.Sprintf("%s: %+v: %s", kind, *want[i], diffFields(got[i], want[i]))
		}
	}
	return ""
}
