package httpapi

import "github.com/parleyhq/parley/wire/door"

// table is every operation of the door, in the order in which people read it.
func (a *API) table() []door.Route {
	var all []door.Route
	for _, part := range [][]door.Route{
		a.publishRoutes(), a.topicRoutes(), a.schemaRoutes(), a.pollRoutes(), a.sseRoutes(), a.websocketRoutes(), a.batchRoutes(), a.throttleRoutes(), a.queueRoutes(), a.pipeRoutes(), a.streamRoutes(), a.snapshotRoutes(), a.metaRoutes(),
	} {
		all = append(all, part...)
	}
	return all
}
