package softphone

import (
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "greenlane/proto/greenlane/v1"
)

// Options say whose softphone it is, and how it behaves.
type Options struct {
	// Conn is the connection to the daemon. The caller closes it, after Run.
	Conn *grpc.ClientConn
	Site string
	// Agent is who signs in, and Queues what the agent serves.
	Agent    string
	Queues   []*pb.AgentQueue
	Endpoint string
	// WrapUp is the agent's time for finishing up; nil: the queue's.
	WrapUp *durationpb.Duration
	// NotReady begins not ready, with a reason.
	NotReady       bool
	NotReadyReason string
	// Timeout is the longest time that one request may take.
	Timeout time.Duration
	// Auto answers by itself; nil leaves that to the agent.
	Auto *Auto
	// In and Out are the terminal. Out may be something else when Auto is set: then it
	// gets a line of JSON for everything that happens.
	In  io.Reader
	Out io.Writer
}

// Auto is how a softphone answers by itself.
type Auto struct {
	Handle  time.Duration // how long a call or callback takes
	Decline float64       // the share of offers that are declined, 0 to 1
	Result  pb.CallbackResult
	// Chance gives numbers from 0 up to, but not including, 1.
	Chance func() float64
}

// ErrNotSignedOut says that the softphone ended and the daemon did not confirm that
// the agent is signed out.
var ErrNotSignedOut = errors.New("the daemon was not reached, so the agent is not signed out; it gets no calls, and becomes not ready by itself")
