package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greenlane/internal/audit"
	"greenlane/tiering"
)

func auditCommand() *cobra.Command {
	return parent("audit", "Check and read the record of who changed what", `audit works on the files that a daemon keeps, and asks no daemon: on the directory
audit below its data, on a copy of that, or on one file of it. docs/audit.md says
what is in the record and what its checks are worth.`, auditVerifyCommand(), auditShowCommand(), auditHeadCommand())
}

// auditUse is what the commands about the record have in common.
type auditUse struct {
	path, output string
	out          *session // where and how to print
}

func (u *auditUse) command(cmd *cobra.Command, run func() error) *cobra.Command {
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usagef("one directory or file is allowed; it is used as: %s", cmd.UseLine())
		}
		return nil
	}
	cmd.DisableFlagsInUseLine = true
	cmd.Flags().StringVar(&u.output, "output", "table", "table or json")
	complete(cmd, "output", "table", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if u.output != "table" && u.output != "json" {
			return usagef("--output: %q is not allowed: table or json", u.output)
		}
		if u.path = "data/audit"; len(args) > 0 {
			u.path = args[0]
		}
		u.out = &session{flags: flags{output: u.output}, out: cmd.OutOrStdout(), err: cmd.ErrOrStderr(), now: time.Now(), style: styleFor(cmd.OutOrStdout())}
		return run()
	}
	return cmd
}

func auditVerifyCommand() *cobra.Command {
	var u auditUse
	var keys []string
	var head string
	cmd := &cobra.Command{
		Use:   "verify [DIR|FILE]",
		Short: "Check that a record is as it was written",
		Long: `verify checks every record against the one before it and names the first that is
not as it was written, and how: changed, removed, reordered, inserted, cut off. The
exit code is then 1.

A chain that was cut off at its end, or written anew from its beginning, still holds
together. The first shows against a head that was kept elsewhere (--head; the daemon
logs it when it stops), the second against the key that signed it (--key).`,
		Example: `  greenlane audit verify /var/lib/greenlane/audit
  greenlane audit verify --key audit.pub.pem --head 1042:9f2c...e1 /var/lib/greenlane/audit`,
	}
	cmd.Flags().StringArrayVar(&keys, "key", nil, "`file` of a key whose signatures count, public or private, in PEM; may be repeated")
	cmd.Flags().StringVar(&head, "head", "", "`SEQ:HASH` that was kept elsewhere and must be in the record")
	return u.command(cmd, func() error {
		var v audit.Verification
		for _, path := range keys {
			key, err := audit.LoadKey(path)
			if err != nil {
				return usagef("--key: %w", err)
			}
			v.Keys = append(v.Keys, key)
		}
		if head != "" {
			h, err := audit.ParseHead(head)
			if err != nil {
				return usagef("--head: %w", err)
			}
			v.Head = &h
		}
		report, err := audit.Verify(u.path, v)
		if err != nil {
			return err
		}
		if err = u.showReport(report, &v); err == nil && report.Fault != nil {
			err = report.Fault
		}
		return err
	})
}

func (u *auditUse) showReport(r *audit.Report, v *audit.Verification) error {
	if u.output == "json" {
		out := map[string]any{
			"ok": r.Fault == nil, "files": r.Files, "records": r.Records, "head": r.Head.String(), "trimmed": r.Trimmed,
			"unknown_outcomes": r.Open, "stopped": r.Stopped, "running": r.Running, "signatures": r.Signed, "signed_to": r.SignedTo,
		}
		if f := r.Fault; f != nil {
			out["fault"] = map[string]any{"file": f.File, "line": f.Line, "kind": f.Kind, "what": f.What}
		}
		return u.out.showJSON(out)
	}
	say := func(format string, args ...any) { fmt.Fprintf(u.out.out, format+"\n", args...) }
	if r.Records > 0 {
		say("%d records in %d files, %d to %d", r.Records, r.Files, r.First.Seq, r.Head.Seq)
		say("head %s", r.Head)
	}
	switch {
	case len(v.Keys) > 0:
		say("%d signatures are good, up to record %d; %d records after it are not signed", r.Signed, r.SignedTo, r.Unsigned)
	default:
		say("signatures were not checked: give --key")
	}
	if r.Trimmed {
		say("records before %d were removed for their age, as the record says", r.First.Seq)
	}
	if r.BeforeAny {
		say("the head given is older than the first record that is kept: it could not be checked")
	}
	if r.Open > 0 {
		say("%d changes have no outcome: the daemon was killed, or the disk failed, while they were made", r.Open)
	}
	if end := ending(r); end != "" {
		colour := green
		if !r.Running && !r.Stopped {
			colour = yellow
		}
		say("%s: as it was written, %s", u.out.style.paint(colour, "ok"), end)
	}
	return nil
}

// ending says how a record without a fault ends.
func ending(r *audit.Report) string {
	switch {
	case r.Fault != nil:
		return ""
	case r.Running:
		return "and a daemon goes on writing it"
	case r.Stopped:
		return "up to the daemon's stop"
	}
	return "but it does not end with the daemon's stop: the daemon was killed, or the end is cut off"
}

func auditHeadCommand() *cobra.Command {
	var u auditUse
	cmd := &cobra.Command{
		Use:   "head [DIR|FILE]",
		Short: "Print the end of a record, to be kept elsewhere",
		Long: `head prints SEQ:HASH of the last record. Kept where nobody who can write the record
can write, it shows later (verify --head) that nothing up to there was cut off or
written anew.`,
		Example: "  greenlane audit head /var/lib/greenlane/audit | ssh archive 'cat >> greenlane.heads'",
	}
	return u.command(cmd, func() error {
		head, err := audit.HeadOf(u.path)
		if err != nil {
			return err
		}
		if u.output == "json" {
			return u.out.showJSON(map[string]any{"seq": head.Seq, "hash": head.Hash.String()})
		}
		_, err = fmt.Fprintln(u.out.out, head)
		return err
	})
}

func auditShowCommand() *cobra.Command {
	var u auditUse
	var f audit.Filter
	var since, until, caller, key string
	cmd := &cobra.Command{
		Use:   "show [DIR|FILE]",
		Short: "Show who changed what, with how it was and is",
		Long: `show lists changes with their outcomes, and what the daemon has to say of itself.
An outcome is unknown when the daemon was killed in between: the event log tells.
With --output json every entry is a line of its own.

Callers are masked. --caller finds a number by its last four digits, and with --key
(the private key) by the number itself.`,
		Example: `  greenlane audit show --since 24h --who anna
  greenlane audit show --action blacklist --site main --output json
  greenlane audit show --caller +8613800138000 --key audit.pem /var/lib/greenlane/audit`,
	}
	fl := cmd.Flags()
	fl.StringVar(&since, "since", "", "from this `time` on: 24h (ago), 2027-01-31, 2027-01-31T09:00:00+08:00")
	fl.StringVar(&until, "until", "", "before this `time`")
	fl.StringVar(&f.Who, "who", "", "`name` of whoever made the change")
	fl.StringVar(&f.Action, "action", "", "`action`, or what stands before its dot: tier.set, blacklist, call, login")
	fl.StringVar(&f.Site, "site", "", "`name` of the site")
	fl.StringVar(&caller, "caller", "", "phone `number`, with its country: +8613800138000")
	fl.StringVar(&key, "key", "", "`file` of the private key, to tell callers apart whose last four digits are the same")
	fl.BoolVar(&f.Chain, "chain", false, "the record's own entries, too: files, signatures")
	return u.command(cmd, func() error {
		var err error
		if f.Since, err = momentFlag("since", since, u.out.now); err != nil {
			return err
		}
		if f.Until, err = momentFlag("until", until, u.out.now); err != nil {
			return err
		}
		if err := callerFilter(&f, caller, key); err != nil {
			return err
		}
		return u.show(f)
	})
}

// callerFilter selects a caller: by the masked number, and by its keyed hash at
// the site if there is a key.
func callerFilter(f *audit.Filter, caller, keyFile string) error {
	if caller == "" {
		if keyFile != "" {
			return usagef("--key: only with --caller")
		}
		return nil
	}
	number := tiering.Number(caller)
	if number.Masked() == "" || !strings.HasPrefix(caller, "+") {
		return usagef("--caller: a number with its country is needed, such as +8613800138000")
	}
	f.Caller = number.Masked()
	if keyFile == "" {
		return nil
	}
	key, err := audit.LoadKey(keyFile)
	if err == nil && !key.Private() {
		err = audit.ErrPublic
	}
	if err != nil {
		return usagef("--key: %w", err)
	}
	if f.Site == "" {
		f.Site = defaultSite // A number has another hash at each site.
	}
	_, f.CallerKey = key.Caller(f.Site, number)
	return nil
}

// momentFlag reads a time: so long ago, a day, or a day with its time.
func momentFlag(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, form := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("--%s: %q is no time: 24h (ago), 2027-01-31, '2027-01-31 09:00' or 2027-01-31T09:00:00+08:00 is allowed", flag, text)
}

// show prints the entries that match.
func (u *auditUse) show(f audit.Filter) error {
	if u.output == "json" {
		enc := json.NewEncoder(u.out.out)
		enc.SetEscapeHTML(false)
		return audit.Read(u.path, f, func(e *audit.Entry) error {
			line := struct {
				audit.Record
				Code    string        `json:"code,omitempty"`
				Outcome *audit.Record `json:"outcome,omitempty"`
			}{e.Record, e.Code(), e.Outcome}
			return enc.Encode(line)
		})
	}
	t := table{head: []string{"SEQ", "AT", "WHO", "ACTION", "SITE", "WHAT", "CHANGE", "OUTCOME"}}
	err := audit.Read(u.path, f, func(e *audit.Entry) error {
		code := cell{text: e.Code()}
		if code.text != "OK" && code.text != "" {
			code.color = yellow
		}
		t.add(cell{text: fmt.Sprint(e.Seq)}, cell{text: e.Time().In(u.out.now.Location()).Format(time.DateTime)}, cell{text: whoText(e.Who)},
			cell{text: e.Action}, cell{text: e.Site}, cell{text: objectText(e)}, cell{text: changeText(e)}, code)
		return nil
	})
	if err != nil {
		return err
	}
	return t.write(u.out.out, u.out.style)
}

func whoText(who *audit.Who) string {
	switch {
	case who == nil:
		return "greenlaned"
	case who.Name != "":
		return who.Name
	}
	return who.Peer
}

func objectText(e *audit.Entry) string {
	var out []string
	if o := e.Object; o != nil {
		for _, part := range []struct{ what, value string }{
			{"call", o.Call}, {"agent", o.Agent}, {"callback", o.Callback}, {"queue", o.Queue}, {"caller", o.Caller},
		} {
			if part.value != "" {
				out = append(out, part.what+" "+part.value)
			}
		}
	}
	if n := len(e.Items); n > 0 {
		out = append(out, fmt.Sprintf("%d callers", n))
	}
	return strings.Join(out, ", ")
}

// changeText is what was changed from what to what; without an outcome, what was
// asked for.
func changeText(e *audit.Entry) string {
	if e.Outcome == nil || e.Outcome.After == nil {
		return pairs(e.Detail, pairs(e.Want, ""))
	}
	before, after := e.Outcome.Before, e.Outcome.After
	var out []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		switch old := before[name]; old {
		case after[name]:
		case "":
			out = append(out, name+" "+after[name])
		default:
			out = append(out, fmt.Sprintf("%s %s to %s", name, old, after[name]))
		}
	}
	if reason := e.Want["reason"]; reason != "" && after["reason"] != reason {
		out = append(out, "reason "+reason)
	}
	return strings.Join(out, ", ")
}

func pairs(values map[string]string, otherwise string) string {
	if len(values) == 0 {
		return otherwise
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if values[name] != "" {
			out = append(out, name+" "+values[name])
		}
	}
	return strings.Join(out, ", ")
}
