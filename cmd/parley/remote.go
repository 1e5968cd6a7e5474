package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/client/overgrpc"
)

// remote is how a command reaches its server.
type remote struct {
	url   string
	grpc  string
	token string
}

// remoteFlags adds --server and --token; PARLEY_URL and PARLEY_TOKEN are their
// defaults.
func (a *app) remoteFlags(c *cobra.Command) *remote {
	r := &remote{}
	url := a.getenv("PARLEY_URL")
	if url == "" {
		url = "http://127.0.0.1:7275"
	}
	c.Flags().StringVar(&r.url, "server", url, "`URL` of the server; also PARLEY_URL")
	c.Flags().StringVar(&r.token, "token", "", "API token; better PARLEY_TOKEN, which no other user can see")
	return r
}

// grpcFlag adds --grpc, for the commands that can use it.
func (a *app) grpcFlag(c *cobra.Command, r *remote) {
	address := a.getenv("PARLEY_GRPC")
	if address == "" {
		address = "127.0.0.1:7276"
	}
	c.Flags().StringVar(&r.grpc, "grpc", address, "`HOST:PORT` of the server's gRPC, for --over grpc; also PARLEY_GRPC")
}

// client makes the client that the flags describe. gRPC connects when it is used.
func (a *app) client(r *remote) (*client.Client, error) {
	token := r.token
	if token == "" {
		token = a.getenv("PARLEY_TOKEN")
	}
	var rpc client.Receiver
	if r.grpc != "" {
		transport, err := overgrpc.Dial(r.grpc, overgrpc.Options{Token: token})
		if err != nil {
			return nil, err
		}
		rpc = transport // it lives as long as the command
	}
	return client.New(r.url, client.Options{Token: token, GRPC: rpc, OnReconnect: func(cause error, wait time.Duration) {
		if cause != nil {
			a.say("%s\n", a.paint(dim, "connection lost ("+cause.Error()+"); again in "+wait.Round(time.Millisecond).String()))
		}
	}})
}
