/** Runs async functions one after the other, in the order of the calls. */
export interface Mutex {
  run<T>(work: () => Promise<T>): Promise<T>
}

export function createMutex(): Mutex {
  let last: Promise<unknown> = Promise.resolve()
  return {
    run(work) {
      const result = last.then(work, work)
      last = result.catch(() => undefined)
      return result
    },
  }
}

/** One mutex for each key that is in use. */
export interface KeyedMutex {
  run<T>(key: string, work: () => Promise<T>): Promise<T>
}

export function createKeyedMutex(): KeyedMutex {
  const held = new Map<string, { mutex: Mutex; users: number }>()
  return {
    async run(key, work) {
      const entry = held.get(key) ?? { mutex: createMutex(), users: 0 }
      held.set(key, entry)
      entry.users += 1
      try {
        return await entry.mutex.run(work)
      } finally {
        entry.users -= 1
        if (entry.users === 0) held.delete(key)
      }
    },
  }
}
