// Package grpcapi is the gRPC door: the operations of the HTTP door with the same
// meaning, the same cursors and the same errors, on a listener of its own. The
// .proto files below parley/v1 are its documentation for clients.
//
//	api, err := grpcapi.New(grpcapi.Options{Topics: topics, Hub: hub, Lives: lives, Context: ctx})
//	go api.Serve(listener)
//
// Every RPC passes one gate, which asks who is calling before a message is read,
// and turns each error into a status with details (google.rpc.ErrorInfo,
// BadRequest, RetryInfo). An event is encoded once for all its subscribers: their
// messages are put together from shared bytes.
//
// The standard services grpc.health.v1.Health and gRPC reflection are served too,
// without a token.
package grpcapi
