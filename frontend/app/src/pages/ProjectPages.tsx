import { lazy } from '../parts/lazy';
import { Branches } from './Branches';
import { Commit } from './Commit';
import { Commits } from './Commits';
import { Compare } from './Compare';
import { Environment } from './Environment';
import { Environments } from './Environments';
import { File } from './File';
import { Files } from './Files';
import { Job } from './Job';
import { Jobs } from './Jobs';
import { NotFound } from './NotFound';
import { Overview } from './Overview';
import { Tags } from './Tags';

const Storage = lazy(async () => (await import('./Storage')).Storage);
const Blame = lazy(async () => (await import('./Blame')).Blame);
const Search = lazy(async () => (await import('./Search')).Search);
const Settings = lazy(async () => (await import('./Settings')).Settings);

/** The section that a page belongs to, where it is not its own. */
export const SECTION_OF: Record<string, string> = { file: 'files', blame: 'files', compare: 'branches', tags: 'branches' };

/** One page of a project. */
export function ProjectPage({ section, id }: { section: string; id: string | undefined }) {
  switch (section) {
    case '':
      return <Overview />;
    case 'files':
      return <Files />;
    case 'file':
      return <File />;
    case 'commits':
      return id ? <Commit key={id} id={id} /> : <Commits />;
    case 'compare':
      return <Compare />;
    case 'blame':
      return <Blame />;
    case 'search':
      return <Search />;
    case 'tags':
      return <Tags />;
    case 'branches':
      return <Branches />;
    case 'jobs':
      return id ? <Job key={id} id={id} /> : <Jobs />;
    case 'environments':
      return id ? <Environment key={id} name={id} /> : <Environments />;
    case 'storage':
      return <Storage />;
    case 'settings':
      return <Settings section={id ?? ''} />;
    default:
      return <NotFound />;
  }
}
