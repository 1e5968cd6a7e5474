package main

import "github.com/spf13/cobra"

func (a *app) streamCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "stream",
		Short:   "Look into event streams.",
		Example: `  parley stream verify audit`,
	}
	c.AddCommand(a.streamVerify())
	group(c)
	return c
}
