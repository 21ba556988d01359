"""Known applications: their locations, limits and timeouts as data, one YAML file each."""
