package rpc_test

import (
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"greenlane/internal/rpc"
	pb "greenlane/proto/greenlane/v1"
)

// careless sends bytes as they are: some clients do not look at their texts.
type careless struct{ encoding.CodecV2 }

func (c careless) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.([]byte); ok {
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	return c.CodecV2.Marshal(v)
}

var bytesAsTheyAre = grpc.ForceCodecV2(careless{encoding.GetCodecV2("proto")})

// with adds a field to a message, whose text is in another encoding than UTF-8.
func with(m proto.Message, field protowire.Number, text []byte) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), text)
}

// gbk is a name as an old switch writes it.
var gbk = []byte{0xd5, 0xc5, 0xc8, 0xfd}

func TestTextThatIsNoUTF8NamesItsField(t *testing.T) {
	arrived := &pb.CallArrivedRequest{SwitchId: "sw", CallId: "c1"}
	attribute := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), gbk)
	queueOf := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), gbk)
	for _, limit := range []int{0, 100_000} { // messages are read in two ways
		r := newRig(t, limitedTo(rpc.RoleLimits{Message: limit}))
		for _, x := range []struct {
			method string
			bytes  []byte
			field  string
		}{
			{"SwitchService/CallArrived", with(arrived, 5, gbk), "caller"},
			{"SwitchService/CallArrived", with(arrived, 11, attribute), "attributes"},
			{"AgentService/SignIn", with(&pb.SignInRequest{AgentId: "a"}, 5, queueOf), "queue"},
			{"SwitchService/CallArrived", []byte{0, 0}, "CallArrivedRequest"},
			{"SwitchService/CallArrived", []byte{0x0a, 0xff}, "CallArrivedRequest"},
		} {
			err := r.conn.Invoke(r.ctx(), "/greenlane.v1."+x.method, x.bytes, &pb.CallArrivedResponse{}, bytesAsTheyAre)
			wantCode(t, err, codes.InvalidArgument, x.field)
		}
		watch, err := r.conn.NewStream(r.ctx(), &grpc.StreamDesc{ServerStreams: true}, "/greenlane.v1.SupervisorService/Watch", bytesAsTheyAre)
		if err != nil {
			t.Fatal(err)
		}
		must(0, watch.SendMsg(with(&pb.WatchRequest{}, 1, gbk)))(t)
		must(0, watch.CloseSend())(t)
		wantCode(t, watch.RecvMsg(&pb.WatchResponse{}), codes.InvalidArgument, "site")
	}
}

// TestAWrongMessageDoesNotEndItsStream: one message that can't be read is answered, and
// those after it are dealt with.
func TestAWrongMessageDoesNotEndItsStream(t *testing.T) {
	for _, limit := range []int{0, 100_000} {
		r := newRig(t, limitedTo(rpc.RoleLimits{Message: limit}))
		trunk, err := r.conn.NewStream(r.ctx(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/greenlane.v1.SwitchService/Connect", bytesAsTheyAre)
		if err != nil {
			t.Fatal(err)
		}
		arrival := func(id string) *pb.ConnectRequest {
			return &pb.ConnectRequest{RequestId: id, SwitchId: "sw", Message: &pb.ConnectRequest_Arrived{Arrived: &pb.CallArrivedRequest{CallId: id}}}
		}
		body := with(arrival("x").GetArrived(), 5, gbk)
		bad := with(&pb.ConnectRequest{RequestId: "bad"}, 5, body)
		for _, m := range []any{arrival("c1"), bad, arrival("c2")} {
			must(0, trunk.SendMsg(m))(t)
		}
		codesOf := map[string]int32{}
		for len(codesOf) < 3 {
			m := new(pb.ConnectResponse)
			must(0, trunk.RecvMsg(m))(t)
			if res := m.GetResult(); res != nil {
				codesOf[res.GetRequestId()] = res.GetCode()
			}
		}
		if codesOf["c1"] != 0 || codesOf["c2"] != 0 || codesOf["bad"] != int32(codes.InvalidArgument) {
			t.Errorf("the results have the codes %v", codesOf)
		}

		phone, err := r.conn.NewStream(r.ctx(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/greenlane.v1.AgentService/Session", bytesAsTheyAre)
		if err != nil {
			t.Fatal(err)
		}
		must(0, phone.SendMsg(&pb.SessionRequest{Message: &pb.SessionRequest_Hello{Hello: hello("a")}}))(t)
		must(0, phone.SendMsg(with(&pb.SessionRequest{}, 6, with(&pb.SetStateRequest{}, 5, gbk))))(t)
		must(0, phone.SendMsg(&pb.SessionRequest{Message: &pb.SessionRequest_SetState{SetState: &pb.SetStateRequest{
			RequestId: "good", State: pb.AgentState_AGENT_STATE_NOT_READY,
		}}}))(t)
		var got []int32
		for len(got) < 2 {
			m := new(pb.SessionResponse)
			must(0, phone.RecvMsg(m))(t)
			if res := m.GetResult(); res != nil {
				got = append(got, res.GetCode())
			}
		}
		if got[0] != int32(codes.InvalidArgument) || got[1] != 0 {
			t.Errorf("the results have the codes %v", got)
		}
	}
}

// TestAMessageThatIsTooLongEndsItsStream: a stream that goes on without being heard
// would keep an agent available who can accept nothing.
func TestAMessageThatIsTooLongEndsItsStream(t *testing.T) {
	r := newRig(t, limitedTo(rpc.RoleLimits{Message: 1000}))
	phone, _ := r.session(hello("a"))
	phone.send(&pb.SessionRequest{Message: &pb.SessionRequest_SetState{SetState: &pb.SetStateRequest{Reason: string(make([]byte, 2000))}}})
	wantCode(t, recvEnd(t, phone.stream.Recv), codes.ResourceExhausted, "")

	trunk := must(r.sw.Connect(r.ctx()))(t)
	must(0, trunk.Send(&pb.ConnectRequest{SwitchId: "sw", Message: &pb.ConnectRequest_Hello{Hello: &pb.SwitchHello{}}}))(t)
	must(0, trunk.Send(&pb.ConnectRequest{RequestId: string(make([]byte, 2000))}))(t)
	wantCode(t, recvEnd(t, trunk.Recv), codes.ResourceExhausted, "")
}

// TestWrongMessagesWaitForTheirTurn, too: they are no way round the pace of a stream.
func TestWrongMessagesWaitForTheirTurn(t *testing.T) {
	const wrong, burst, every = 8, 2, 20 * time.Millisecond
	r := newRig(t, limitedTo(rpc.RoleLimits{Rate: float64(time.Second / every), Burst: burst}))
	trunk, err := r.conn.NewStream(r.ctx(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/greenlane.v1.SwitchService/Connect", bytesAsTheyAre)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	must(0, trunk.SendMsg(&pb.ConnectRequest{SwitchId: "sw", Message: &pb.ConnectRequest_Hello{Hello: &pb.SwitchHello{}}}))(t)
	for range wrong {
		must(0, trunk.SendMsg(with(&pb.ConnectRequest{}, 1, gbk)))(t)
	}
	for refused := 0; refused < wrong; {
		m := new(pb.ConnectResponse)
		must(0, trunk.RecvMsg(m))(t)
		if m.GetResult().GetCode() == int32(codes.InvalidArgument) {
			refused++
		}
	}
	if took := time.Since(began); took < (wrong-burst)*every {
		t.Errorf("%d messages in %v: nothing held them back", wrong, took)
	}
}
