package main

import (
	"bytes"
	"context"

	"github.com/spf13/cobra"
)

func (a *app) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	c := &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a script that completes commands and flags: for bash, zsh, fish or powershell.",
		Example: `  source <(parley completion bash)
  parley completion zsh > "${fpath[1]}/_parley"
  parley completion fish > ~/.config/fish/completions/parley.fish`,
		Args: exactly("SHELL"), ValidArgs: shells,
	}
	c.RunE = a.command(func(_ context.Context, args []string) (answer, error) {
		var script bytes.Buffer
		var err error
		switch root := c.Root(); args[0] {
		case "bash":
			err = root.GenBashCompletionV2(&script, true)
		case "zsh":
			err = root.GenZshCompletion(&script)
		case "fish":
			err = root.GenFishCompletion(&script, true)
		case "powershell":
			err = root.GenPowerShellCompletionWithDesc(&script)
		default:
			return answer{}, usagef("use bash, zsh, fish or powershell", "%q is not a shell that can be served", args[0])
		}
		return textAnswer("script", script.String()), err
	})
	return c
}
