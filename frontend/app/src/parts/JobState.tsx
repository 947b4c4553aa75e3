import type { JobView } from '../api/generated';
import { t, type TextKey } from '../i18n';

export const STATES = ['queued', 'running', 'succeeded', 'failed', 'cancelled', 'timed_out'] as const;
const KINDS = ['build', 'deploy', 'remove', 'purge', 'import'];

/** Whether a job may still change. */
export function isOpen(job: JobView): boolean {
  return job.state === 'queued' || job.state === 'running';
}

export function kindText(job: JobView): string {
  return KINDS.includes(job.kind) ? t(`jobs.kind.${job.kind}` as TextKey) : job.kind;
}

/** A job's state, in words and colour. */
export function JobState({ job }: { job: JobView }) {
  const known = (STATES as readonly string[]).includes(job.state);
  return <span class={`state ${job.state}`}>{known ? t(`jobs.state.${job.state}` as TextKey) : job.state}</span>;
}
