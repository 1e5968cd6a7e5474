// Package rig is what the black-box suites share: the program built from this
// repository, servers of it as processes on free ports, other people's programs,
// and events to send through all of them. Nothing here imports the product.
package rig
