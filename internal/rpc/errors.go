package rpc

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"greenlane/callback"
	"greenlane/internal/audit"
	"greenlane/internal/discreet"
	"greenlane/internal/feed"
	"greenlane/queue"
	"greenlane/tiering"
)

// errorDomain is the ErrorInfo domain of every reason below.
const errorDomain = "greenlane.v1"

// retryAfter is what RetryInfo says with Unavailable.
const retryAfter = time.Second

// row says what a sentinel of the core means to a client.
type row struct {
	err    error
	code   codes.Code
	reason string // ErrorInfo.reason
	field  string // for InvalidArgument, when the error does not name one
}

// table is the only place where errors become gRPC codes. The first row that
// matches counts, so an error that wraps another stands before it.
var table = []row{
	{queue.ErrInvalid, codes.InvalidArgument, "INVALID_ARGUMENT", ""},
	{queue.ErrQueueNotFound, codes.NotFound, "QUEUE_NOT_FOUND", ""},
	{queue.ErrAgentNotFound, codes.NotFound, "AGENT_NOT_FOUND", ""},
	{queue.ErrCallNotFound, codes.NotFound, "CALL_NOT_FOUND", ""},
	{queue.ErrOfferNotFound, codes.NotFound, "OFFER_NOT_FOUND", ""},
	{queue.ErrCallbackNotFound, codes.NotFound, "CALLBACK_NOT_FOUND", ""},
	{queue.ErrCallExists, codes.AlreadyExists, "CALL_EXISTS", ""},
	{queue.ErrCallbackExists, codes.AlreadyExists, "CALLBACK_EXISTS", ""},
	{queue.ErrRequestReused, codes.AlreadyExists, "REQUEST_ID_REUSED", ""},
	{queue.ErrOfferEnded, codes.FailedPrecondition, "OFFER_ENDED", ""},
	{queue.ErrWrongState, codes.FailedPrecondition, "WRONG_STATE", ""},
	{queue.ErrTrimmed, codes.OutOfRange, "EVENTS_TRIMMED", ""},
	{queue.ErrUnavailable, codes.Unavailable, "ENGINE_UNAVAILABLE", ""},
	{queue.ErrClosed, codes.Unavailable, "ENGINE_CLOSED", ""},

	{callback.ErrState, codes.FailedPrecondition, "CALLBACK_STATE", ""},
	{callback.ErrClaimed, codes.FailedPrecondition, "CALLBACK_CLAIMED", ""},
	{callback.ErrNotClaimant, codes.FailedPrecondition, "NOT_CLAIMANT", ""},
	{callback.ErrDeadline, codes.FailedPrecondition, "CALLBACK_DEADLINE", ""},
	{callback.ErrEarly, codes.FailedPrecondition, "CALLBACK_EARLY", ""},
	{callback.ErrClaimant, codes.InvalidArgument, "INVALID_ARGUMENT", "claimant"},
	{callback.ErrResult, codes.InvalidArgument, "INVALID_ARGUMENT", "result"},
	{callback.ErrWindow, codes.InvalidArgument, "INVALID_ARGUMENT", "due_at"},
	{callback.ErrDue, codes.InvalidArgument, "INVALID_ARGUMENT", "due_at"},

	{tiering.ErrNumber, codes.InvalidArgument, "INVALID_ARGUMENT", "caller"},
	{tiering.ErrFigures, codes.InvalidArgument, "INVALID_ARGUMENT", "figures"},
	{tiering.ErrScheme, codes.FailedPrecondition, "GRADING_SCHEME", ""},
	{tiering.ErrSite, codes.InvalidArgument, "INVALID_ARGUMENT", "site"},
	{tiering.ErrEntry, codes.InvalidArgument, "INVALID_ARGUMENT", "caller"},
	{tiering.ErrCursor, codes.InvalidArgument, "INVALID_ARGUMENT", "page_token"},
	{tiering.ErrRating, codes.InvalidArgument, "INVALID_ARGUMENT", "score"},
	{tiering.ErrRequestReused, codes.AlreadyExists, "REQUEST_ID_REUSED", ""},
	{tiering.ErrCorrupt, codes.DataLoss, "TIER_UNREADABLE", ""},
	{tiering.ErrUnavailable, codes.Unavailable, "TIERS_UNAVAILABLE", ""},
	{tiering.ErrClosed, codes.Unavailable, "TIERS_CLOSED", ""},

	{audit.ErrUnavailable, codes.Unavailable, "AUDIT_UNAVAILABLE", ""},

	{feed.ErrCutOff, codes.ResourceExhausted, "SLOW_READER", ""},
	{feed.ErrStopped, codes.Unavailable, "STOPPING", ""},

	{context.Canceled, codes.Canceled, "CANCELLED", ""},
	{context.DeadlineExceeded, codes.DeadlineExceeded, "DEADLINE_EXCEEDED", ""},
}

// Error is what a client gets of an error of the core, for whoever answers beside the
// handlers.
func Error(log *slog.Logger, err error) error { return toError(log, err) }

// toError turns what the core returned into what the client gets. An error that
// no row knows is told in general words; the log has the whole of it.
func toError(log *slog.Logger, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err // made here already
	}
	for i := range table {
		if errors.Is(err, table[i].err) {
			return table[i].status(err).Err()
		}
	}
	log.Error("request failed for a reason that no client can act on", "error", err)
	return status.Error(codes.Internal, "internal error; the daemon's log has the details")
}

func (r *row) status(err error) *status.Status {
	info := &errdetails.ErrorInfo{Reason: r.reason, Domain: errorDomain}
	details := []protoadapt.MessageV1{info}
	var refusal *queue.Error
	field := r.field
	description := discreet.Text(err.Error())
	if errors.As(err, &refusal) {
		if refusal.Field != "" {
			field, description = refusal.Field, discreet.Text(refusal.Detail)
		}
		if refusal.Oldest > 0 {
			info.Metadata = map[string]string{"oldest": strconv.FormatUint(refusal.Oldest, 10)}
		}
	}
	switch r.code {
	case codes.InvalidArgument:
		details = append(details, &errdetails.BadRequest{
			FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: description}},
		})
	case codes.Unavailable:
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)})
	}
	return withDetails(status.New(r.code, discreet.Text(message(r.code, field, err))), details...)
}

// message is the status message: for a wrong field it begins with its name.
func message(code codes.Code, field string, err error) string {
	var refusal *queue.Error
	if code == codes.InvalidArgument && field != "" && !errors.As(err, &refusal) {
		return field + ": " + err.Error()
	}
	return err.Error()
}

// withDetails adds details; a status without them is better than none.
func withDetails(st *status.Status, details ...protoadapt.MessageV1) *status.Status {
	full, err := st.WithDetails(details...)
	if err != nil {
		return st
	}
	return full
}

// refuse makes an error of this package's own: a code, a reason and a sentence.
func refuse(code codes.Code, reason, message string, metadata map[string]string) error {
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: reason, Domain: errorDomain, Metadata: metadata}}
	if code == codes.Unavailable {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)})
	}
	return withDetails(status.New(code, discreet.Text(message)), details...).Err()
}

// Errors that streams end with.
var (
	errStopping = refuse(codes.Unavailable, "STOPPING", "the daemon is stopping; connect again", nil)
	errSlow     = refuse(codes.ResourceExhausted, "SLOW_READER", "the client did not read what it was sent; connect again and resume from the last sequence seen", nil)
	errTakeover = refuse(codes.Aborted, "SESSION_TAKEN_OVER", "the agent opened another session or polls", nil)
)
