"""The pages for people, and whether the service is well."""
