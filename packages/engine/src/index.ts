export * from './kernel/committer.ts'
export * from './outbox-types.ts'
export * from './ports.ts'
export * from './rooms/types.ts'
