package rpc

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"greenlane/callback"
	"greenlane/queue"
	"greenlane/tiering"
)

// sentinels are the exported errors of the core, by name. TestEveryErrorHasARow
// reads the packages' source and fails when one is missing here.
var sentinels = map[string]error{
	"queue.ErrInvalid": queue.ErrInvalid, "queue.ErrQueueNotFound": queue.ErrQueueNotFound, "queue.ErrAgentNotFound": queue.ErrAgentNotFound,
	"queue.ErrCallNotFound": queue.ErrCallNotFound, "queue.ErrOfferNotFound": queue.ErrOfferNotFound,
	"queue.ErrCallbackNotFound": queue.ErrCallbackNotFound, "queue.ErrCallExists": queue.ErrCallExists,
	"queue.ErrCallbackExists": queue.ErrCallbackExists, "queue.ErrRequestReused": queue.ErrRequestReused,
	"queue.ErrOfferEnded": queue.ErrOfferEnded, "queue.ErrWrongState": queue.ErrWrongState, "queue.ErrTrimmed": queue.ErrTrimmed,
	"queue.ErrUnavailable": queue.ErrUnavailable, "queue.ErrClosed": queue.ErrClosed,
	"callback.ErrState": callback.ErrState, "callback.ErrClaimed": callback.ErrClaimed, "callback.ErrNotClaimant": callback.ErrNotClaimant,
	"callback.ErrClaimant": callback.ErrClaimant, "callback.ErrResult": callback.ErrResult, "callback.ErrDue": callback.ErrDue,
	"callback.ErrWindow": callback.ErrWindow, "callback.ErrDeadline": callback.ErrDeadline, "callback.ErrEarly": callback.ErrEarly,
	"tiering.ErrNumber": tiering.ErrNumber, "tiering.ErrFigures": tiering.ErrFigures, "tiering.ErrScheme": tiering.ErrScheme,
	"tiering.ErrSite": tiering.ErrSite, "tiering.ErrEntry": tiering.ErrEntry, "tiering.ErrCursor": tiering.ErrCursor,
	"tiering.ErrRating": tiering.ErrRating, "tiering.ErrRequestReused": tiering.ErrRequestReused, "tiering.ErrCorrupt": tiering.ErrCorrupt, "tiering.ErrUnavailable": tiering.ErrUnavailable, "tiering.ErrClosed": tiering.ErrClosed,
}

// exportedErrors returns the names of a package's exported Err... variables.
func exportedErrors(t *testing.T, pkg string) (names []string) {
	t.Helper()
	dir := "../../" + pkg
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), dir+"/"+entry.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					if strings.HasPrefix(name.Name, "Err") {
						names = append(names, pkg+"."+name.Name)
					}
				}
			}
		}
	}
	return names
}

func TestEveryErrorHasARow(t *testing.T) {
	var all []string
	for _, pkg := range []string{"queue", "callback", "tiering"} {
		names := exportedErrors(t, pkg)
		if len(names) == 0 {
			t.Fatalf("no exported error found in %s", pkg)
		}
		all = append(all, names...)
	}
	for _, name := range all {
		err, known := sentinels[name]
		if !known {
			t.Errorf("%s is not known here: give it a row in errors.go, and name it in this test", name)
			continue
		}
		i := slices.IndexFunc(table, func(r row) bool { return r.err == err }) //nolint:errorlint // the row itself is looked for
		if i < 0 {
			t.Errorf("%s has no row in errors.go", name)
			continue
		}
		for j := range i {
			if errors.Is(err, table[j].err) {
				t.Errorf("the row of %s is hidden by an earlier one, since it wraps %v", name, table[j].err)
			}
		}
	}
	if len(all) != len(sentinels) {
		t.Errorf("%d errors in the source, %d here", len(all), len(sentinels))
	}
}

func TestErrorsBecomeStatuses(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for _, c := range []struct {
		name    string
		err     error
		code    codes.Code
		message string
		field   string
	}{
		{"refusal with a field", &queue.Error{Kind: queue.ErrInvalid, Field: "queues.level", Detail: "0 must be at least 1"},
			codes.InvalidArgument, "queues.level: 0 must be at least 1", "queues.level"},
		{"which end", &queue.Error{Kind: queue.ErrOfferEnded, Field: "offer_id", Detail: "offer o-1 is over: preempted"},
			codes.FailedPrecondition, "offer_id: offer o-1 is over: preempted", ""},
		{"wrapped", fmt.Errorf("due: %w", callback.ErrWindow), codes.InvalidArgument, "due_at: due: " + callback.ErrWindow.Error(), "due_at"},
		{"both of the engine's and of ctx", fmt.Errorf("%w: %w", queue.ErrUnavailable, context.Canceled), codes.Unavailable, "", ""},
		{"a status stays one", status.Error(codes.Aborted, "as it is"), codes.Aborted, "as it is", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := status.Convert(toError(log, c.err))
			if st.Code() != c.code || c.message != "" && st.Message() != c.message {
				t.Errorf("%v %q, want %v %q", st.Code(), st.Message(), c.code, c.message)
			}
			for _, d := range st.Details() {
				if bad, ok := d.(*errdetails.BadRequest); ok && bad.GetFieldViolations()[0].GetField() != c.field {
					t.Errorf("field %q, want %q", bad.GetFieldViolations()[0].GetField(), c.field)
				}
			}
		})
	}
	if toError(log, nil) != nil {
		t.Error("no error became one")
	}
}

func TestUnavailableSaysWhenToRetry(t *testing.T) {
	st := status.Convert(toError(slog.New(slog.DiscardHandler), queue.ErrUnavailable))
	for _, d := range st.Details() {
		if retry, ok := d.(*errdetails.RetryInfo); ok && retry.GetRetryDelay().AsDuration() > 0 {
			return
		}
	}
	t.Errorf("no RetryInfo in %v", st.Details())
}

func TestTrimmedSaysWhatIsKept(t *testing.T) {
	st := status.Convert(toError(slog.New(slog.DiscardHandler), &queue.Error{Kind: queue.ErrTrimmed, Detail: "gone", Oldest: 42}))
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetMetadata()["oldest"] == "42" {
			return
		}
	}
	t.Errorf("no oldest in %v", st.Details())
}

// TestUnknownErrorIsToldInGeneralWords: what nobody foresaw may hold anything,
// so it goes to the log and not to the client.
func TestUnknownErrorIsToldInGeneralWords(t *testing.T) {
	var logged strings.Builder
	log := slog.New(slog.NewTextHandler(&logged, nil))
	st := status.Convert(toError(log, errors.New("secret detail")))
	if st.Code() != codes.Internal || strings.Contains(st.Message(), "secret") {
		t.Errorf("the client gets %v %q", st.Code(), st.Message())
	}
	if !strings.Contains(logged.String(), "secret detail") {
		t.Errorf("the log has %q", logged.String())
	}
}
