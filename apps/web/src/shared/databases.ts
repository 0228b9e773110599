/** The database of the account's keys. */
export const KEYS = 'plexus-keys'
