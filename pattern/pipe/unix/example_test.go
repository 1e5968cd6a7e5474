package unix_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/parleyhq/parley/pattern/pipe/unix"
)

func Example() {
	plan, err := unix.Compile("grep error | sort | uniq -c")
	if err != nil {
		fmt.Println(err)
		return
	}
	log := strings.NewReader("disk error\nall well\nnet error\ndisk error\n")
	if _, err := plan.Run(context.Background(), unix.IO{In: log, Out: os.Stdout}); err != nil {
		fmt.Println(err)
	}
	// Output:
	//       2 disk error
	//       1 net error
}
