// The pinned code generators for proto/. They are apart from buf, which wants
// a newer protobuf than the product links: generated code must match the
// runtime, and buf need not.
module greenlane/internal/tools/protogen

go 1.26.0

tool (
	google.golang.org/grpc/cmd/protoc-gen-go-grpc
	google.golang.org/protobuf/cmd/protoc-gen-go
)

require (
	google.golang.org/grpc/cmd/protoc-gen-go-grpc v1.6.2 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)
