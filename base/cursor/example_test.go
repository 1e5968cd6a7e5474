package cursor_test

import (
	"context"
	"fmt"

	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/engine/memlog"
)

// A reader of two streams goes away with one token and comes back with it.
func Example() {
	keys, err := cursor.LoadKeys(context.Background(), memlog.New(memlog.Options{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	sealer := cursor.NewSealer(keys...)
	token := sealer.Seal("", []cursor.Mark{{Number: 16, Epoch: 1, Next: 1042}, {Number: 17, Epoch: 1, Next: 7}})

	marks, err := sealer.Open("", token)
	fmt.Println(marks, err)

	_, err = sealer.Open("another namespace", token)
	fmt.Println(err)
	// Output:
	// [{16 1 1042} {17 1 7}] <nil>
	// bad-cursor (cursor): the cursor does not match its signature: it was changed, or another server or namespace made it; send a cursor as this server gave it, unchanged, or start from "earliest" or "latest"
}
