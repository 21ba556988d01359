"""etcd: a client on its JSON gateway, for several members that may hang, end, or be cut off."""
