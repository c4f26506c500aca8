package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"greenlane/internal/tui"
)

// The exit codes of the tool. ExitCodes says them in words.
const (
	ExitFailed      = 1
	ExitUsage       = 2
	ExitPartly      = 3
	ExitNotFound    = 4
	ExitRefused     = 5
	ExitUnavailable = 6
	ExitNoOffer     = 7
	ExitTrimmed     = 8
	ExitDenied      = 9
)

// ExitCode is a row of the table of exit codes.
type ExitCode struct {
	Code    int
	Meaning string
}

// ExitCodes is the table of exit codes, as the documentation shows it.
var ExitCodes = []ExitCode{
	{0, "done"},
	{ExitFailed, "failed for another reason, broken off, or a check found what should not be"},
	{ExitUsage, "the command line is wrong, or the daemon refused a value in it"},
	{ExitPartly, "some lines of a file were wrong and are listed; all the others are done"},
	{ExitNotFound, "the site, queue, call, agent, offer or callback is unknown"},
	{ExitRefused, "the state of things stands in the way, such as an offer that is over"},
	{ExitUnavailable, "the daemon was not reached or did not confirm; repeating is safe"},
	{ExitNoOffer, "`agent next`: no offer came in the time"},
	{ExitTrimmed, "`events`: the log no longer has, or does not yet have, what comes after the cursor"},
	{ExitDenied, "the daemon does not believe who you are, or you may not do this"},
}

// Explain turns an error into one line that says what to do next, and into the
// exit code. The line is empty when all has been said already.
func Explain(err error) (line string, code int) {
	var usage UsageError
	switch {
	case err == nil:
		return "", 0
	case errors.Is(err, ErrPartly):
		return "", ExitPartly
	case errors.Is(err, errNoOffer):
		return err.Error(), ExitNoOffer
	case errors.As(err, &usage):
		return err.Error(), ExitUsage
	case errors.Is(err, context.Canceled), status.Code(err) == codes.Canceled:
		return "broken off", ExitFailed
	}
	st, ok := status.FromError(err)
	if !ok {
		return err.Error(), ExitFailed
	}
	before, said := "", st.Message()
	if bare, ok := bareStatus(err); ok {
		before, said = strings.TrimSuffix(err.Error(), bare.Err().Error()), bare.Message()
	}
	code, next := meaning(st)
	line = before + strings.TrimSpace(tui.Unwrapped(said))
	if next != "" {
		line += "; " + next
	}
	return line, code
}

// bareStatus finds the status of an error without what wraps it.
func bareStatus(err error) (*status.Status, bool) {
	var bare interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &bare) {
		return nil, false
	}
	return bare.GRPCStatus(), true
}

// nextSteps says what helps, by ErrorInfo.reason.
var nextSteps = map[string]string{
	"AGENT_NOT_FOUND":    "sign the agent in: greenlane agent sign-in AGENT --queue QUEUE",
	"CALL_NOT_FOUND":     "see which there are: greenlane call list --all",
	"CALLBACK_NOT_FOUND": "see which there are: greenlane callbacks list --all",
	"OFFER_NOT_FOUND":    "see what the agent has: greenlane agent show AGENT",
	"OFFER_ENDED":        "get the next one: greenlane agent next AGENT",
	"QUEUE_NOT_FOUND":    "the daemon's configuration lists the queues, and so does greenlane report",
	"SITE_NOT_FOUND":     "name another with --site; the daemon's configuration lists them",
	"CALLBACK_EXISTS":    "see it: greenlane callbacks list --caller NUMBER",
	"CALLBACK_STATE":     "see how it stands, and claim it to report on it: greenlane callbacks list --all",
	"CALLBACK_CLAIMED":   "see who has it: greenlane callbacks list",
	"NOT_CLAIMANT":       "claim it first: greenlane callbacks claim CALLBACK --as NAME",
	"CALL_EXISTS":        "name the switch that has the call with --switch, or give another call id",
	"REQUEST_ID_REUSED":  "give another --request-id, or none",
	"TIERS_UNAVAILABLE":  "the tier store behind the daemon does not answer; see the daemon's log",
	"NO_CREDENTIAL":      "say who you are with --token-file, or --tls-cert and --tls-key",
	"CREDENTIAL_INVALID": "the daemon's log says why; see docs/security.md",
	"CREDENTIAL_EXPIRED": "get a new one",
	"ROLE_MISSING":       "docs/security.md has the table of who may what",
	"SITE_DENIED":        "name another with --site",
	"EVENTS_TRIMMED":     "begin at the oldest event kept with --after 0, and with another --cursor file if there is one",
}

// meaning is the exit code of a status, and the next step if one is known.
func meaning(st *status.Status) (code int, next string) {
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			next = nextSteps[info.GetReason()]
			if oldest := info.GetMetadata()["oldest"]; oldest != "" {
				next = fmt.Sprintf("the oldest event kept is %s: %s", oldest, next)
			}
		}
	}
	switch st.Code() {
	case codes.InvalidArgument:
		return ExitUsage, next
	case codes.NotFound:
		return ExitNotFound, next
	case codes.FailedPrecondition, codes.AlreadyExists, codes.Aborted:
		return ExitRefused, next
	case codes.OutOfRange:
		if next == "" {
			next = "has the daemon got other data than before? begin with --after 0, and with another --cursor file if there is one"
		}
		return ExitTrimmed, next
	case codes.Unavailable:
		if next == "" && (strings.Contains(st.Message(), "tls: ") || strings.Contains(st.Message(), "x509: ")) {
			next = "TLS did not come about: look at --tls-ca, --tls-cert and --tls-key"
		}
		if next == "" && strings.Contains(st.Message(), "error reading server preface") {
			next = "does the daemon speak TLS? say --tls-ca"
		}
		if next == "" {
			next = "is greenlaned running there? name another place with --addr; repeating is safe"
		}
		return ExitUnavailable, next
	case codes.DeadlineExceeded:
		return ExitUnavailable, "give it longer with --timeout; repeating with the same --request-id is safe"
	case codes.ResourceExhausted:
		return ExitUnavailable, "repeating is safe"
	case codes.Unauthenticated, codes.PermissionDenied:
		return ExitDenied, next
	case codes.Unimplemented:
		return ExitFailed, "the daemon is older than this tool"
	}
	return ExitFailed, next
}
