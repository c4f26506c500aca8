package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "greenlane/proto/greenlane/v1"
)

// placed is what became of a file of calls.
type placed struct {
	Placed  int        `json:"placed"`  // in their queue, or there already
	Refused int        `json:"refused"` // not let in by the queue
	Bad     int        `json:"bad"`
	Lines   []*badLine `json:"bad_lines"`
}

// attrPrefix begins the columns that become attributes.
const attrPrefix = "attr."

var callColumns = map[string]func(*pb.CallArrivedRequest, string) error{
	"call_id":         func(r *pb.CallArrivedRequest, v string) error { r.CallId = v; return nil },
	"caller":          func(r *pb.CallArrivedRequest, v string) error { r.Caller = v; return nil },
	"dialed":          func(r *pb.CallArrivedRequest, v string) error { r.Dialed = v; return nil },
	"queue":           func(r *pb.CallArrivedRequest, v string) error { r.Queue = v; return nil },
	"switch_id":       func(r *pb.CallArrivedRequest, v string) error { r.SwitchId = v; return nil },
	"preferred_agent": func(r *pb.CallArrivedRequest, v string) error { r.PreferredAgent = v; return nil },
	"attestation": func(r *pb.CallArrivedRequest, v string) (err error) {
		r.Attestation, err = parseWord[pb.Attestation]("attestation", v)
		return err
	},
	"arrived_at": func(r *pb.CallArrivedRequest, v string) error {
		at, err := time.Parse(time.RFC3339, v)
		if err != nil {
			return fmt.Errorf("arrived_at: %q is no time such as 2026-03-02T09:00:00+08:00", v)
		}
		r.ArrivedAt = timestamppb.New(at)
		return nil
	},
}

func knownCallColumn(name string) bool {
	return callColumns[name] != nil || strings.HasPrefix(name, attrPrefix) && len(name) > len(attrPrefix)
}

// placement is a line of the file and what becomes of it.
type placement struct {
	line int
	bad  *badLine      // what is wrong with the line
	err  error         // what ends the whole run
	done chan struct{} // closed when the rest stands
	res  *pb.CallArrivedResponse
}

// placeMany places the calls of a file, so many at once, and tells what became of
// them in the order of the file. Calls that are on their way together may join in
// any order; one at a time join in that of the file. defaults has what the
// columns do not say.
func (s *session) placeMany(ctx context.Context, name string, jobs int, defaults *pb.CallArrivedRequest) error {
	file, err := openLines(name, []string{"call_id"}, knownCallColumn)
	if err != nil {
		return err
	}
	defer file.close() //nolint:errcheck // the file was only read
	ctx, cancel := context.WithCancel(ctx)
	var sending sync.WaitGroup
	defer sending.Wait()
	defer cancel()
	order, atWork := make(chan *placement, jobs), make(chan struct{}, jobs)
	sending.Go(func() {
		defer close(order)
		s.placeLines(ctx, file, defaults, order, atWork, &sending)
	})
	sum := &placed{Lines: []*badLine{}}
	for p := range order {
		<-p.done
		switch {
		case p.err != nil:
			return fmt.Errorf("broken off at line %d, after %d calls placed; run it again: what is placed stays so: %w", p.line, sum.Placed, p.err)
		case p.bad != nil:
			sum.Bad++
			sum.Lines = append(sum.Lines, p.bad)
			fmt.Fprintf(s.err, "%s:%d:%d: %s\n", file.name, p.bad.Line, p.bad.Column, printable(p.bad.Message))
		case p.res.GetCall().GetState() == pb.CallState_CALL_STATE_REFUSED:
			sum.Refused++
		default:
			sum.Placed++
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.placedAll(sum)
}

// placeLines reads the file and begins to place each call, in order. The room in
// atWork bounds how many are on their way.
func (s *session) placeLines(ctx context.Context, file *lineFile, defaults *pb.CallArrivedRequest, order chan<- *placement, atWork chan struct{}, sending *sync.WaitGroup) {
	seen := map[string]int{}
	for {
		p := &placement{done: make(chan struct{})}
		rec, bad, err := file.next()
		if errors.Is(err, io.EOF) {
			return
		}
		p.line, p.bad, p.err = file.line, bad, err
		var req *pb.CallArrivedRequest
		if err == nil && bad == nil {
			req, p.bad, p.err = requestOfLine(rec, defaults, seen)
		}
		select {
		case order <- p:
		case <-ctx.Done():
			return
		}
		if req == nil || p.bad != nil || p.err != nil {
			close(p.done)
			if p.err != nil {
				return
			}
			continue
		}
		select {
		case atWork <- struct{}{}:
		case <-ctx.Done():
			p.err = ctx.Err()
			close(p.done)
			return
		}
		sending.Go(func() {
			defer func() { close(p.done); <-atWork }()
			p.res, p.bad, p.err = s.placeLine(ctx, rec, req)
		})
	}
}

// requestOfLine makes the request of a line; bad is what is wrong with the line.
func requestOfLine(rec *record, defaults *pb.CallArrivedRequest, seen map[string]int) (req *pb.CallArrivedRequest, bad *badLine, err error) {
	if req, bad = callOf(rec, defaults); bad != nil {
		return nil, bad, nil
	}
	if first := seen[req.GetCallId()]; first > 0 {
		return nil, rec.bad("call_id", fmt.Sprintf("call_id: %q is also on line %d", req.GetCallId(), first)), nil
	}
	seen[req.GetCallId()] = rec.line
	req.RequestId, err = contentID(req)
	return req, nil, err
}

func (s *session) placedAll(sum *placed) error {
	var err error
	if s.output == "json" {
		err = s.showJSON(sum)
	} else {
		t := table{head: []string{"PLACED", "REFUSED", "BAD LINES"}}
		t.add(plain(fmt.Sprint(sum.Placed), fmt.Sprint(sum.Refused), fmt.Sprint(sum.Bad))...)
		err = t.write(s.out, s.style)
	}
	if err == nil && sum.Bad > 0 {
		err = ErrPartly
	}
	return err
}

// placeLine places one call; bad is what the daemon finds wrong with the line, err
// what ends the whole run.
func (s *session) placeLine(ctx context.Context, rec *record, req *pb.CallArrivedRequest) (*pb.CallArrivedResponse, *badLine, error) {
	res, err := do(ctx, s, s.switches().CallArrived, req)
	switch status.Code(err) {
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition:
		field, message := faultyField(err)
		return nil, rec.bad(field, message), nil
	}
	return res, nil, err
}

// callOf reads a line.
func callOf(rec *record, defaults *pb.CallArrivedRequest) (*pb.CallArrivedRequest, *badLine) {
	req := proto.CloneOf(defaults)
	for _, name := range sortedKeys(rec.values) {
		value := rec.values[name]
		if value == "" {
			continue
		}
		if attr, ok := strings.CutPrefix(name, attrPrefix); ok {
			if req.Attributes == nil {
				req.Attributes = map[string]string{}
			}
			req.Attributes[attr] = value
			continue
		}
		if err := callColumns[name](req, value); err != nil {
			return nil, rec.bad(name, err.Error())
		}
	}
	if req.GetCallId() == "" {
		return nil, rec.bad("call_id", "call_id: must be given")
	}
	return req, nil
}

// contentID is a request_id made of what is asked for: the same line of a file run
// again is the same request, and a changed one is another.
func contentID(m proto.Message) (string, error) {
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return "cli-file-" + hex.EncodeToString(sum[:16]), nil
}

// faultyField is the column that the daemon finds wrong, if it says which, and
// why.
func faultyField(err error) (field, message string) {
	st := status.Convert(err)
	for _, d := range st.Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok && len(bad.GetFieldViolations()) > 0 {
			field = bad.GetFieldViolations()[0].GetField()
		}
		if info, ok := d.(*errdetails.ErrorInfo); ok && field == "" {
			field = map[string]string{"QUEUE_NOT_FOUND": "queue", "CALL_EXISTS": "call_id"}[info.GetReason()]
		}
	}
	return field, st.Message()
}
