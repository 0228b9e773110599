/** How much of something scarce is taken, by whom. */

/** What one request has of it; its end gives that back. */
export interface Share extends Disposable {
  /** Takes more; false, and nothing was taken, where a bound is reached. */
  add(amount: number): boolean
}

export interface Shares {
  open(who: string): Share
}

/** `maxOfOne` and `max` bound what one has, and all together. */
export function createShares(maxOfOne: number, max: number): Shares {
  const taken = new Map<string, number>()
  let sum = 0
  return {
    open(who) {
      let own = 0
      const change = (amount: number): void => {
        own += amount
        sum += amount
        const left = (taken.get(who) ?? 0) + amount
        if (left === 0) taken.delete(who)
        else taken.set(who, left)
      }
      return {
        add(amount) {
          if ((taken.get(who) ?? 0) + amount > maxOfOne || sum + amount > max) return false
          change(amount)
          return true
        },
        [Symbol.dispose]: () => change(-own),
      }
    },
  }
}
