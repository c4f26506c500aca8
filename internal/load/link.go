package load

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// link is a bidirectional stream to the daemon that is opened again for as long
// as it is wanted. What was not answered when a stream broke is sent again on
// the next one, in the order it was first sent: every message carries its
// request_id, so that the daemon does it once.
type link[Req, Res any] struct {
	open    func(context.Context) (grpc.BidiStreamingClient[Req, Res], error)
	hello   func() *Req                               // the first message of a stream
	beat    *Req                                      // says that the client is alive
	welcome func(*Res) (every time.Duration, ok bool) // reads the daemon's first message
	result  func(*Res) result                         // the answer in a message; nil when it is none
	take    func(*Res)                                // takes every message
	lost    func(error) (again bool)                  // why a stream ended, and whether to open it again
	retries *retries

	mu      sync.Mutex
	pending map[string]*waiting[Req, Res] // by request_id
	order   []*waiting[Req, Res]          // by first sending; answered ones are dropped now and then

	sending sync.Mutex // held to send; never while holding mu
	stream  grpc.BidiStreamingClient[Req, Res]
}

// result is the answer to one message.
type result interface {
	GetRequestId() string
	GetCode() int32
	GetMessage() string
}

// waiting is a message that waits for its answer.
type waiting[Req, Res any] struct {
	id   string
	req  *Req
	done chan *Res // takes one answer without a reader
}

// do sends a message and waits for its answer, over as many streams as it takes.
func (l *link[Req, Res]) do(ctx context.Context, id string, req *Req) (*Res, error) {
	var pause pause
	for {
		w := &waiting[Req, Res]{id: id, req: req, done: make(chan *Res, 1)}
		l.mu.Lock()
		if l.pending == nil {
			l.pending = make(map[string]*waiting[Req, Res])
		}
		l.pending[id] = w
		l.order = append(l.order, w)
		l.mu.Unlock()
		l.send(req)
		select {
		case res := <-w.done:
			r := l.result(res)
			if codes.Code(r.GetCode()) == codes.OK {
				return res, nil
			}
			err := status.Error(codes.Code(r.GetCode()), r.GetMessage())
			if !again(err) {
				return nil, err
			}
			l.retries.n.Add(1)
			if !pause.wait(ctx) {
				return nil, err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// send sends a message on the stream that is open, if one is. A failure shows
// when the stream is read; the message is sent again on the next one.
func (l *link[Req, Res]) send(req *Req) {
	l.sending.Lock()
	defer l.sending.Unlock()
	if l.stream != nil {
		_ = l.stream.Send(req)
	}
}

// run keeps a stream open until ctx ends, or lost says that it is for good.
func (l *link[Req, Res]) run(ctx context.Context) {
	var pause pause
	for ctx.Err() == nil {
		welcomed, err := l.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if welcomed {
			pause.reset()
		}
		if !l.lost(err) {
			return
		}
		l.retries.n.Add(1)
		pause.wait(ctx)
	}
}

// session opens one stream and reads it to its end.
func (l *link[Req, Res]) session(ctx context.Context) (welcomed bool, _ error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := l.open(ctx)
	if err != nil {
		return false, err
	}
	// An error of Send is told by Recv.
	_ = stream.Send(l.hello())
	var beating sync.WaitGroup
	defer beating.Wait()
	defer cancel()
	for {
		res, err := stream.Recv()
		if err != nil {
			l.use(nil)
			return welcomed, err
		}
		if every, ok := l.welcome(res); ok && !welcomed {
			welcomed = true
			l.use(stream)
			beating.Go(func() {
				for _, w := range l.unanswered() {
					l.send(w.req)
				}
				l.heartbeat(ctx, every)
			})
		}
		l.answer(res)
		l.take(res)
	}
}

func (l *link[Req, Res]) heartbeat(ctx context.Context, every time.Duration) {
	for every > 0 && sleep(ctx, every) {
		l.send(l.beat)
	}
}

// use changes the stream to send on; nil when there is none.
func (l *link[Req, Res]) use(stream grpc.BidiStreamingClient[Req, Res]) {
	l.sending.Lock()
	defer l.sending.Unlock()
	l.stream = stream
}

// answer gives an answer to who waits for it.
func (l *link[Req, Res]) answer(res *Res) {
	r := l.result(res)
	if r == nil {
		return
	}
	l.mu.Lock()
	w := l.pending[r.GetRequestId()]
	delete(l.pending, r.GetRequestId())
	if len(l.order) > 2*len(l.pending)+1024 {
		l.sweep()
	}
	l.mu.Unlock()
	if w != nil {
		w.done <- res
	}
}

// unanswered returns what waits for an answer, in the order of sending.
func (l *link[Req, Res]) unanswered() []*waiting[Req, Res] {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep()
	return append([]*waiting[Req, Res](nil), l.order...)
}

// sweep drops what was answered. The caller holds mu.
func (l *link[Req, Res]) sweep() {
	kept := l.order[:0]
	for _, w := range l.order {
		if l.pending[w.id] == w {
			kept = append(kept, w)
		}
	}
	clear(l.order[len(kept):])
	l.order = kept
}
