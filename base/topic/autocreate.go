package topic

// AutoCreates says whether publishing to a name that is not there makes the
// topic: a subscriber of such a name may wait for it.
func (r *Registry) AutoCreates(name string) bool {
	if IsInternal(name) || CheckName(name) != nil {
		return false
	}
	return r.opts.AutoCreate || IsEphemeral(name)
}
