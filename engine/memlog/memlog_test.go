package memlog_test

import (
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/enginetest"
	"github.com/parleyhq/parley/engine/memlog"
)

func TestContract(t *testing.T) {
	enginetest.Run(t, func(*testing.T) parley.Log { return memlog.New(memlog.Options{}) })
}
