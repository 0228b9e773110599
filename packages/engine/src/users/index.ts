export { createUsers } from './users.ts'
