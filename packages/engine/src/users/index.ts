export type { UsersDeps, UsersInit } from './deps.ts'
export { createUsers } from './users.ts'
