package redischeck

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"greenlane/tiering/redisdir"
)

// ErrAway says that Redis can't be reached, or does not serve yet. Nobody has to
// change anything: it may be starting, and waiting for it may be all there is to do.
var ErrAway = errors.New("no answer from Redis")

// RequireUp is Require that tells, by ErrAway, a Redis that is not there from one
// that will not do.
func RequireUp(ctx context.Context, client redis.UniversalClient, needs Needs) error {
	if err := Reach(ctx, client); err != nil {
		return err
	}
	err := Require(ctx, client, needs)
	if err == nil {
		return nil
	}
	// What was found while it went away says nothing of it.
	if away := Reach(ctx, client); away != nil {
		return away
	}
	return err
}

// Reach returns ErrAway with what Redis or the network says when nothing can be asked
// now, else nil: also when Redis refuses the user or the question.
func Reach(ctx context.Context, client redis.UniversalClient) error {
	err := ping(ctx, client)
	if err == nil {
		err = redisdir.CheckSchema(ctx, client) // of a Cluster, PING tells only that its servers run
	}
	if err == nil || !isAway(err) {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrAway, err)
}

func ping(ctx context.Context, client redis.UniversalClient) error {
	cluster, ok := client.(*redis.ClusterClient)
	if !ok {
		return client.Ping(ctx).Err()
	}
	return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return node.Ping(ctx).Err() })
}

func isAway(err error) bool {
	if _, is := errors.AsType[*tls.CertificateVerificationError](err); is || errors.Is(err, redisdir.ErrSchema) {
		return false
	}
	var reply redis.Error
	if !errors.As(err, &reply) {
		return true
	}
	return slices.ContainsFunc([]string{"LOADING", "MASTERDOWN", "CLUSTERDOWN", "BUSY"}, func(word string) bool {
		return redis.HasErrorPrefix(err, word)
	})
}
