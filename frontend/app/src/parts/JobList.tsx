import type { JobView } from '../api/generated';
import { href } from '../state/router';
import { isOpen, JobState, kindText } from './JobState';
import { Moment } from './Moment';
import { ProjectLink } from './ProjectLink';

/** Jobs as rows: what, of what, how it stands, when. Without `slug` they are of several projects. */
export function JobList({ slug, jobs }: { slug?: string; jobs: JobView[] }) {
  return (
    <ul class="rows">
      {jobs.map((job) => (
        <li key={job.id}>
          <a href={href(['p', slug ?? job.project, 'jobs', job.id])}>
            {kindText(job)}
            {job.environment ? ` · ${job.environment}` : ''}
          </a>
          <span class="quiet grow">
            {slug === undefined && <ProjectLink id={job.project} />} {job.ref ?? ''}{' '}
            {job.commit ? <code>{job.commit.slice(0, 8)}</code> : null}
            {isOpen(job) && job.progress.message ? ` ${job.progress.message}` : ''}
          </span>
          <JobState job={job} />
          <Moment at={job.created} />
        </li>
      ))}
    </ul>
  );
}
