/** The small pieces that every screen is made of. */
import type { ComponentChildren, JSX } from 'preact'
import { hueOf, initialOf } from './format.ts'
import { WarnIcon } from './icons.tsx'
import type { Problem } from './model.ts'

export function Avatar({ name, id, size = 36 }: { name: string; id: string; size?: number }): JSX.Element {
  const style = {
    '--hue': String(hueOf(id)),
    width: `${size}px`,
    height: `${size}px`,
    fontSize: `${size * 0.42}px`,
  }
  return (
    <span class="avatar" style={style} aria-hidden="true">
      {initialOf(name)}
    </span>
  )
}

export function Spinner({ label }: { label?: string }): JSX.Element {
  return (
    <span class="spinner-line" role="status">
      <span class="spinner" aria-hidden="true" />
      {label === undefined ? <span class="hidden-text">Working</span> : label}
    </span>
  )
}

export type ButtonProps = {
  readonly children: ComponentChildren
  readonly kind?: 'primary' | 'plain' | 'quiet' | 'danger'
  readonly type?: 'button' | 'submit'
  readonly busy?: boolean
  readonly disabled?: boolean
  readonly onClick?: () => void
  readonly autofocus?: boolean
}

export function Button(props: ButtonProps): JSX.Element {
  const {
    children,
    kind = 'plain',
    type = 'button',
    busy = false,
    disabled = false,
    onClick,
    autofocus,
  } = props
  return (
    <button
      type={type}
      class={`button ${kind}`}
      disabled={disabled}
      aria-busy={busy}
      // A busy button keeps the focus, but does nothing.
      aria-disabled={busy}
      data-autofocus={autofocus === true ? '' : undefined}
      onClick={busy ? (event) => event.preventDefault() : onClick}
    >
      {busy && <span class="spinner" aria-hidden="true" />}
      {children}
    </button>
  )
}

/** An error beside what caused it, read out at once. */
export function ErrorLine({ text }: { text: string | undefined }): JSX.Element {
  return (
    <div role="alert" class="error-line">
      {text !== undefined && (
        <>
          <WarnIcon />
          <span>{text}</span>
        </>
      )}
    </div>
  )
}

export type ProblemCardProps = {
  readonly problem: Problem
  readonly children?: ComponentChildren
  /** The card is all there is on the page. */
  readonly alone?: boolean
}

export function ProblemCard({ problem, children, alone = false }: ProblemCardProps): JSX.Element {
  const Title = alone ? 'h1' : 'h2'
  return (
    <div class="card problem" role="alert">
      <Title class="small-title">
        <WarnIcon />
        {problem.title}
      </Title>
      <p>{problem.advice}</p>
      {problem.detail !== undefined && (
        <details>
          <summary>Details</summary>
          <pre>{problem.detail}</pre>
        </details>
      )}
      {children}
    </div>
  )
}

export type FieldProps = {
  readonly label: string
  readonly hint?: string
  readonly children: (ids: { readonly id: string; readonly describedBy: string | undefined }) => JSX.Element
  readonly id: string
}

export function Field({ label, hint, id, children }: FieldProps): JSX.Element {
  const describedBy = hint === undefined ? undefined : `${id}-hint`
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, describedBy })}
      {hint !== undefined && (
        <p class="hint" id={describedBy}>
          {hint}
        </p>
      )}
    </div>
  )
}

export function EmptyState(props: {
  title: string
  children: ComponentChildren
  art?: JSX.Element
}): JSX.Element {
  return (
    <div class="empty">
      {props.art !== undefined && <div class="empty-art">{props.art}</div>}
      <h1 class="small-title">{props.title}</h1>
      <div class="empty-text">{props.children}</div>
    </div>
  )
}
