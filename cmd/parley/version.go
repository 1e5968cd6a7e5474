package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is set by the linker for releases.
var release = "0.1.0-dev"

// version is the release, and for others than releases the commit.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return release + "+" + s.Value[:12]
			}
		}
	}
	return release
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version.",
		Example: "  parley version\n  parley version --json", Args: exactly(),
		RunE: a.command(func(context.Context, []string) (answer, error) {
			v := map[string]string{"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
			return answer{Result: v, Text: func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "parley %s (%s, %s)\n", v["version"], v["go"], v["platform"])
				return err
			}}, nil
		}),
	}
}
