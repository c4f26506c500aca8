package rpc

import (
	"errors"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec that is looked up below
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
)

// parcel is a message that may turn out to be none. grpc-go answers such a one with
// Internal, as if the daemon were at fault, and ends its stream; in a parcel it is
// handed on with what is wrong with it.
type parcel struct {
	message any
	err     error
}

// open takes the message of one request or stream with recv, which fills a parcel.
func open(message any, recv func(any) error) error {
	p := &parcel{message: message}
	if err := recv(p); err != nil {
		return err
	}
	return p.err
}

// codec reads parcels; everything else is protobuf's own codec.
type codec struct{ encoding.CodecV2 }

var protobuf = codec{encoding.GetCodecV2("proto")}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	p, ok := v.(*parcel)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	if err := c.CodecV2.Unmarshal(data, p.message); err != nil {
		p.err = unreadableIn(data, p.message, err)
	}
	return nil
}

// unreadable is that a message is no protobuf of its kind. What could be read of it
// before that is in the message.
type unreadable struct{ *status.Status }

func (u *unreadable) Error() string { return u.Err().Error() }

// GRPCStatus tells grpc-go what the client is told.
func (u *unreadable) GRPCStatus() *status.Status { return u.Status }

// unreadableIn says what is wrong with a message. Generated code does not name a field
// whose text is no UTF-8, the slow way through a message's description does.
func unreadableIn(data mem.BufferSlice, message any, err error) error {
	m, ok := message.(proto.Message)
	if !ok {
		return err
	}
	desc := m.ProtoReflect().Descriptor()
	if named := proto.Unmarshal(data.Materialize(), dynamicpb.NewMessage(desc)); named != nil {
		err = named
	}
	violation := &errdetails.BadRequest_FieldViolation{Field: string(desc.Name()), Description: "a message in the encoding of protobuf is allowed"}
	if path, found := strings.CutSuffix(err.Error(), " contains invalid UTF-8"); found {
		violation = &errdetails.BadRequest_FieldViolation{Field: fieldOf(path), Description: "text in UTF-8 is allowed"}
	}
	return &unreadable{withDetails(status.New(codes.InvalidArgument, violation.GetField()+": "+violation.GetDescription()),
		&errdetails.ErrorInfo{Reason: "INVALID_ARGUMENT", Domain: errorDomain},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{violation}})}
}

// fieldOf returns the name of the field that protobuf's words end with, such as
// "proto: field greenlane.v1.AgentQueue.queue"; of a map it is the map's.
func fieldOf(words string) string {
	_, path, _ := strings.Cut(words, "greenlane.v1.")
	names := strings.Split(path, ".")
	last := names[len(names)-1]
	if len(names) > 1 {
		if entry, ok := strings.CutSuffix(names[len(names)-2], "Entry"); ok {
			return strings.ToLower(entry)
		}
	}
	return last
}

// isUnreadable reports whether only one message is wrong, and the stream may go on.
func isUnreadable(err error) bool {
	var u *unreadable
	return errors.As(err, &u)
}
