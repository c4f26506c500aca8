package queuetest

import (
	"fmt"
	"reflect"
	"strings"

	"greenlane/internal/instant"
	"greenlane/queue"
)

// FormatEvent writes an event in one line, without its instant: what applies,
// in a fixed order, as transcripts show it.
func FormatEvent(e queue.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#%d %s", e.Seq, e.Type)
	put := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, " %s=%s", key, value)
		}
	}
	put("call", e.Call)
	put("callback", e.Callback)
	if e.Queue != "" {
		put("queue", e.Queue)
	}
	put("from", e.FromQueue)
	if e.Tier != 0 {
		put("tier", e.Tier.String())
	}
	if e.FromTier != 0 {
		put("was", e.FromTier.String())
	}
	put("agent", e.Agent)
	if e.AgentState != 0 {
		put("state", e.AgentState.String())
	}
	if e.Offer != 0 {
		put("offer", queue.OfferID(e.Offer))
	}
	put("why", e.Why)
	put("reason", e.Reason)
	put("switch", e.Switch)
	if e.Wait != 0 {
		put("wait", e.Wait.String())
	}
	if e.Late {
		b.WriteString(" late")
	}
	if e.Talk != 0 {
		put("talk", e.Talk.String())
	}
	return b.String()
}

// FormatInstant writes the time of day in UTC.
func FormatInstant(i instant.Instant) string {
	if i.IsZero() {
		return "-"
	}
	return i.Time().Format("15:04:05.000")
}

// FormatCommand writes a command for people who read a failed sequence: its
// kind and the fields that are set.
func FormatCommand(cmd queue.Command) string {
	var b strings.Builder
	b.WriteString(cmd.Kind())
	formatFields(&b, reflect.ValueOf(cmd).Elem())
	return b.String()
}

func formatFields(b *strings.Builder, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Field(i)
		switch {
		case f.IsZero():
		case v.Type().Field(i).Anonymous:
			formatFields(b, f)
		case f.Type() == reflect.TypeFor[instant.Instant]():
			fmt.Fprintf(b, " %s=%s", v.Type().Field(i).Name, FormatInstant(instant.Instant(f.Int())))
		case f.Type() == reflect.TypeFor[[]queue.Live]():
			for j := range f.Len() {
				b.WriteString(" {")
				formatFields(b, f.Index(j))
				b.WriteString(" }")
			}
		default:
			fmt.Fprintf(b, " %s=%v", v.Type().Field(i).Name, f.Interface())
		}
	}
}
