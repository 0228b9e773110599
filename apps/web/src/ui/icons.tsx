import type { ComponentChildren, JSX } from 'preact'

/** Drawn here, 20 by 20, with the colour of the text around; always decoration, the name stands beside. */
function Icon({ children }: { children: ComponentChildren }): JSX.Element {
  return (
    <svg
      class="icon"
      viewBox="0 0 20 20"
      width="20"
      height="20"
      fill="none"
      stroke="currentColor"
      stroke-width="1.6"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  )
}

const path = (d: string): JSX.Element => (
  <Icon>
    <path d={d} />
  </Icon>
)

export const BackIcon = (): JSX.Element => path('M12.5 4.5 7 10l5.5 5.5')
export const PlusIcon = (): JSX.Element => path('M10 4.5v11M4.5 10h11')
export const CloseIcon = (): JSX.Element => path('m5.5 5.5 9 9m0-9-9 9')
export const ReplyIcon = (): JSX.Element => path('M8 5 3.5 9.5 8 14M4 9.5h7a5 5 0 0 1 5 5v1')
export const TrashIcon = (): JSX.Element =>
  path('M4 6h12M8 6V4h4v2M5.5 6l.7 10h7.6l.7-10M8.5 9v4.5M11.5 9v4.5')
export const AttachIcon = (): JSX.Element =>
  path('m15.5 9.5-5.6 5.6a3.3 3.3 0 0 1-4.7-4.7l6-6a2.2 2.2 0 0 1 3.1 3.1l-6 6a1.1 1.1 0 0 1-1.5-1.6l5.4-5.4')
export const SendIcon = (): JSX.Element => path('M10 15.5v-11M5 9.5l5-5 5 5')
export const LockIcon = (): JSX.Element => path('M6 9V6.8a4 4 0 0 1 8 0V9M4.8 9h10.4v7H4.8z')
export const PeopleIcon = (): JSX.Element =>
  path(
    'M7.5 9.5a2.75 2.75 0 1 0 0-5.5 2.75 2.75 0 0 0 0 5.5ZM2.5 16c.3-2.6 2.3-4 5-4s4.7 1.4 5 4M13 4.3a2.75 2.75 0 0 1 0 5M15 12.4c1.5.600 2.3 1.8 2.5 3.6',
  )
export const GearIcon = (): JSX.Element =>
  path(
    'M3.5 6h5m4 0h4M3.5 14h2m4 0h7M10.5 8.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4ZM7.5 16.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4Z',
  )
export const LinkIcon = (): JSX.Element =>
  path('m8.5 11.5 3-3M9.5 6.5l1.8-1.8a2.8 2.8 0 0 1 4 4L13.5 10.5M6.5 9.5l-1.8 1.8a2.8 2.8 0 0 0 4 4l1.8-1.8')
export const DownloadIcon = (): JSX.Element => path('M10 3.5v9M6 9l4 4 4-4M4 16.5h12')
export const FileIcon = (): JSX.Element => path('M5.5 3h6l3.5 3.5V17h-9.5zM11.5 3v3.5H15')
export const ImageIcon = (): JSX.Element =>
  path('M3.5 4.5h13v11h-13zM3.5 13l3.8-3.8 3 3L13 9.5l3.5 3.5M12.8 7.6h.01')

export const DownIcon = (): JSX.Element => path('M10 4.5v11M5 10.5l5 5 5-5')

export const CheckIcon = (): JSX.Element => path('m4.5 10.5 3.5 3.5 7.5-8')
export const WarnIcon = (): JSX.Element => path('M10 3.5 17.5 16h-15zM10 8.5v3.5M10 14h.01')

/** The mark: three peers, each linked with each. */
export function Mark({ size = 28 }: { size?: number }): JSX.Element {
  return (
    <svg class="mark" viewBox="0 0 32 32" width={size} height={size} aria-hidden="true">
      <path
        d="M16 7.5 7 23h18z"
        fill="none"
        stroke="currentColor"
        stroke-width="2.4"
        stroke-linejoin="round"
      />
      <circle cx="16" cy="7.5" r="4.2" fill="currentColor" />
      <circle cx="7" cy="23" r="4.2" fill="currentColor" />
      <circle cx="25" cy="23" r="4.2" fill="currentColor" />
    </svg>
  )
}
